"""`python -m serve.health`: 0 where the server of this environment is ready. The image's HEALTHCHECK."""

import os
import sys
from urllib.request import urlopen

from serve.settings import from_environment


def main() -> None:
    try:
        urlopen(f"http://127.0.0.1:{from_environment(os.environ).port}/readyz", timeout=2).close()
    except OSError as error:
        sys.exit(f"not ready: {error}")


if __name__ == "__main__":
    main()
