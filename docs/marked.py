"""The marked parts of a page, and how a command with its output stands in them."""

import re
from pathlib import Path


def write(page: Path, name: str, content: str) -> None:
    """Replace one marked part of a page."""
    page.write_text(fill(page.read_text(encoding="utf-8"), name, content), encoding="utf-8")


def fill(text: str, name: str, content: str) -> str:
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return marked.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def console(command: str, printed: str) -> str:
    return block("console", f"$ {command}\n{printed}")


def block(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"
