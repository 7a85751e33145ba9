"""Progress on the terminal: one line for each step of a command, with its time."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

Say = Callable[[str], None]


@contextmanager
def step(console: Console, title: str) -> Iterator[Say]:
    """Time one step of the work and print a line at its end, with the last message of the body behind the title.

    Yields a function that reports progress. A terminal shows its messages live; elsewhere only the final line appears.
    """
    messages: list[str] = []
    started = time.perf_counter()
    with console.status(title) as status:

        def say(text: str) -> None:
            messages.append(text)
            status.update(f"{title}: {text}")

        yield say

    result = f": {messages[-1]}" if messages else ""
    console.print(f"{time.perf_counter() - started:6.1f} s  {title}{result}", highlight=False, soft_wrap=True)


def next_steps(console: Console, lines: Mapping[str, Any]) -> None:
    """Print commands with their meanings, as two aligned columns."""
    width = max(map(len, lines))
    for command, meaning in lines.items():
        console.print(f"  {command:<{width}}  {meaning}", highlight=False, markup=False, soft_wrap=True)
