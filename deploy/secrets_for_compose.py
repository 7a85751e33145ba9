"""`make up` begins here: random secrets in .env where there is none, and no start with those of the example."""

import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECRET = re.compile(r"[A-Za-z0-9_-]{12,}")  # it stands in an address, where other characters would mean something


def main() -> None:
    """Write or check .env; exits with 2 where a secret is missing or the example's."""
    example = pairs((ROOT / ".env.example").read_text(encoding="utf-8"))
    env = ROOT / ".env"
    if not env.exists():
        env.touch(mode=0o600)
        env.write_text("".join(f"{name}={secrets.token_hex(16)}\n" for name in example), encoding="utf-8")
        print("made .env with new secrets")
    said = pairs(env.read_text(encoding="utf-8"))
    if wrong := [
        name for name, value in example.items() if said.get(name, value) == value or not SECRET.fullmatch(said[name])
    ]:
        sys.exit(f"error: .env: {', '.join(wrong)} should be set to secrets of your own: 12 or more letters and digits")


def pairs(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


if __name__ == "__main__":
    main()
