"""Environment to typed settings: the only reader of `os.environ` in the server."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ConfigError


class Settings(BaseModel):
    """Each field is read from the environment variable of its name in capitals; an empty one counts as not set."""

    model_config = ConfigDict(frozen=True)

    model_dir: Path = Field(Path("models/flights"), description="A bundle, or a store with a champion.")
    host: str = Field("127.0.0.1", description="The address to listen on; 0.0.0.0 is all of them.")
    port: int = Field(8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Raises ConfigError that names the variable, what was found and what would be right."""
    given = {name: environ[name.upper()] for name in Settings.model_fields if environ.get(name.upper())}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        faults = (f"{str(fault['loc'][0]).upper()}={fault['input']}: {fault['msg']}" for fault in error.errors())
        raise ConfigError("environment: " + "; ".join(faults)) from None


def described() -> str:
    """The variables with their defaults and meanings, a line each."""
    fields = Settings.model_fields.items()
    return "\n".join(f"  {name.upper():<10} {field.description} Default: {field.default}" for name, field in fields)
