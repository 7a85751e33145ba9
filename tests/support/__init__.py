"""What more than one test stands on."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
