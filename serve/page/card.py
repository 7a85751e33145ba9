"""The text of a card, from the few kinds of Markdown block that a training writes. It knows nothing of HTML."""

import re

Block = tuple[str, list[list[str]]]  # "table", "list" or "text", and the cells of each line: one, except in a table


def sections(card: str) -> list[tuple[str, list[Block]]]:
    """Each heading with the blocks below it. The first is the card's title with its introduction."""
    parts = []
    for part in re.split(r"^##? ", card, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        parts.append((unescaped(heading), [block(text) for text in re.split(r"\n{2,}", body.strip("\n")) if text]))
    return parts


def block(text: str) -> Block:
    """The second line of a table, its rule, is left out."""
    lines = text.split("\n")
    if text.startswith("|"):
        return "table", [row(line) for line in (lines[0], *lines[2:])]
    return "list" if text.startswith("- ") else "text", [[unescaped(line.removeprefix("- "))] for line in lines]


def row(line: str) -> list[str]:
    return [unescaped(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text.strip())
