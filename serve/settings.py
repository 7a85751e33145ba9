"""Typed settings from `os.environ`. The other modules of the server only pass it on to this one."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from pipeline.errors import ConfigError

# The variables that set a field where it has other names than its own; the first one that is set wins.
STAND_FOR = {
    "port": ("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT"),
    "health_route": ("AIP_HEALTH_ROUTE",),
    "predict_route": ("AIP_PREDICT_ROUTE",),
}
MOUNTED = (Path("/opt/ml/model"), Path("/mnt/models"))  # where SageMaker and KServe mount a model
BAKED = Path("/app/model")  # where this project's own image has one
KEY = 16  # minimum number of characters of an API key


def _separate(value: Any) -> Any:
    """The parts of a comma-separated string without empty ones; any other value as it is."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _separate_names(value: Any) -> Any:
    """The parts of a comma-separated string in small letters, since names of hosts have none but these."""
    return [part.lower() for part in _separate(value)] if isinstance(value, str) else value


class Settings(BaseModel):
    """Each field comes from the environment variable of its name in capitals. An empty variable counts as not set."""

    model_config = ConfigDict(frozen=True)

    model_dir: Path = Field(Path("models/flights"), description="A bundle, or a store with a champion.")
    host: str = Field("127.0.0.1", description="The address to listen on; 0.0.0.0 is all of them.")
    port: int = Field(8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    max_body_bytes: int | None = Field(
        None, ge=1, description="A larger body is refused (413). Unset: 64 bytes for each value of MAX_ROWS rows."
    )
    max_rows: int = Field(10_000, ge=1, description="A request with more rows is refused (413).")
    timeout_seconds: float = Field(30, gt=0, description="A request that takes longer ends (504).")
    max_in_flight: int = Field(256, ge=1, description="More requests at a time are refused (503).")
    max_connections: int = Field(
        1000, ge=1, description="Beyond so many, the connection that has waited longest for a request is closed."
    )
    header_seconds: float = Field(10, gt=0, description="Headers that take longer to arrive end the connection (408).")
    keep_alive_seconds: int = Field(5, ge=1, description="A connection without a request for so long is closed.")
    reload_seconds: float = Field(1, ge=0, description="How often to look for a new champion; 0 is never.")
    api_keys: Annotated[list[str], BeforeValidator(_separate)] = Field(
        [], description="Accepted API keys, separated by commas; without any, no key is required."
    )
    api_keys_file: Path | None = Field(None, description="A file with more keys, one a line.")
    model_public_key: Path | None = Field(None, description="A PEM file; only bundles signed with its key are served.")
    state_dir: Path | None = Field(
        None,
        description="The folder with what `refresh` and `monitor` write. Unset: the champion's or, with "
        "MODEL_PUBLIC_KEY, none.",
    )
    rolling_state_file: Path | None = Field(
        None, description="The file that `refresh` writes. Unset: rolling_features.json in STATE_DIR."
    )
    monitor_file: Path | None = Field(
        None, description="The file that `monitor` writes. Unset: monitor.json in STATE_DIR."
    )
    log_url: str | None = Field(
        None,
        description="The prediction log: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; unset is none.",
    )
    log_queue: int = Field(8192, ge=1, description="Predictions that can wait to be logged; more are dropped.")
    allowed_hosts: Annotated[list[str], BeforeValidator(_separate_names)] = Field(
        [], description="Names that `Host` may have, separated by commas; without any, it may have each."
    )
    allowed_origins: Annotated[list[str], BeforeValidator(_separate_names)] = Field(
        [], description="Origins of other sites whose pages may send requests, such as https://shop.example."
    )
    root_path: str = Field(
        "",
        description="The prefix that a proxy puts before every path, such as /flights, whether the proxy "
        "removes it or not.",
    )
    health_route: str | None = Field(None, pattern="^/", description="Vertex AI's path for health checks.")
    predict_route: str | None = Field(None, pattern="^/", description="Vertex AI's path for predictions.")

    def state_file(self, own: Path | None, name: str) -> Path | None:
        """The path of a file of state: its `own` setting, else the file `name` in STATE_DIR.

        Without either it is beside the champion or, where only signed bundles are served, nowhere: such a file has no
        signature, and whoever can write to the store would decide what the server does with it.
        """
        if own:
            return own
        if self.state_dir:
            return self.state_dir / name
        return None if self.model_public_key else self.model_dir / name

    @field_validator("root_path")
    @classmethod
    def root_path_ends_without_a_slash(cls, path: str) -> str:
        if not re.fullmatch(r"(/(?!\.+(/|$))[\w.~-]+)*/?", path, re.ASCII):
            raise ValueError("should be a path that begins with a slash, such as /flights or /teams/flights")
        return path.rstrip("/")

    @field_validator("log_url")
    @classmethod
    def log_is_a_known_database(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"(sqlite:///|postgresql(\+psycopg2)?://).", url):
            raise ValueError(
                "should be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, and begins with "
                f"{url.partition(':')[0][:20]!r}"
            )
        return url

    @field_validator("allowed_origins")
    @classmethod
    def origins_are_as_browsers_send_them(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not re.fullmatch(r"https?://[^/\s@?#]+", origin):
                raise ValueError("an origin should be a scheme and a host without a path, such as https://shop.example")
        return origins

    @field_validator("api_keys")
    @classmethod
    def keys_are_secrets(cls, keys: list[str]) -> list[str]:
        for key in keys:
            if len(key) < KEY or len(set(key)) < 6:
                raise ValueError(f"a key should be {KEY} characters or more that cannot be guessed, such as those of "
                                 "`openssl rand -hex 16`")  # fmt: skip
        return keys


def from_environment(environ: Mapping[str, str]) -> Settings:
    """The validated settings. Raises ConfigError with each invalid variable, its value and what it should be."""
    set_by = {field: set_variable(field, environ) for field in Settings.model_fields}
    values: dict[str, Any] = {field: environ[name] for field, name in set_by.items() if name}
    if "model_dir" not in values and (place := mounted_model(environ)):
        values["model_dir"] = place
    if values.get("api_keys") and not _separate(values["api_keys"]):
        raise ConfigError("API_KEYS: has no key in it; leave it unset if no key is required")

    try:
        settings = Settings.model_validate(values)
        return Settings.model_validate({**dict(settings), "api_keys": settings.api_keys + read_api_keys(settings)})
    except ValidationError as error:
        texts = [setting_error(fault, set_by) for fault in error.errors()]
        raise ConfigError("environment: " + "; ".join(texts)) from None


def variable_names(field: str) -> tuple[str, ...]:
    """The environment variables that may set a field, the ones that win first."""
    return STAND_FOR.get(field, (field.upper(),))


def set_variable(field: str, environ: Mapping[str, str]) -> str | None:
    """The variable that sets a field in this environment, or None. An empty variable counts as not set."""
    return next((name for name in variable_names(field) if environ.get(name)), None)


def mounted_model(environ: Mapping[str, str]) -> Path | None:
    """The folder where a platform has mounted a model, or the model in the image; None where neither has files."""
    places = list(MOUNTED)
    vertex = environ.get("AIP_STORAGE_URI", "")
    if vertex.startswith("/"):
        places.append(Path(vertex))
    places += sorted(Path("/var/azureml-app/azureml-models").glob("*/*"))
    places.append(BAKED)
    return next((place for place in places if place.is_dir() and any(place.iterdir())), None)


def read_api_keys(settings: Settings) -> list[str]:
    """The keys in API_KEYS_FILE. Raises ConfigError where the file cannot be read or has no key."""
    if settings.api_keys_file is None:
        return []

    try:
        lines = settings.api_keys_file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"API_KEYS_FILE={settings.api_keys_file}: cannot be read: {error}") from None

    if not lines:
        raise ConfigError(f"API_KEYS_FILE={settings.api_keys_file}: has no key in it")
    return lines


def setting_error(fault: Any, set_by: Mapping[str, str | None]) -> str:
    """One invalid setting with its variable and value. The value of a key or of a database address stays secret."""
    field = str(fault["loc"][0])
    name = set_by.get(field) or field.upper()
    value = "" if field in ("api_keys", "log_url") else f"={fault['input']}"
    return f"{name}{value}: {fault['msg'].removeprefix('Value error, ')}"


def variables() -> dict[str, tuple[str, str]]:
    """The default and the meaning of each variable. The default is a dash where the variable has none."""
    return {
        variable_names(name)[-1]: (str(field.default or "–"), str(field.description))
        for name, field in Settings.model_fields.items()
    }


def describe_variables() -> str:
    """One line for each variable with its meaning and its default."""
    lines = variables().items()
    return "\n".join(f"  {name:<18} {meaning} Default: {default}" for name, (default, meaning) in lines)
