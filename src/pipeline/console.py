"""What a person sees while a command works: a line per step with its time."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console

Say = Callable[[str], None]


@contextmanager
def step(console: Console, title: str) -> Iterator[Say]:
    """One step of the work. What the body says last stands behind the title when it is done.

    On a terminal what it says on the way is shown live; elsewhere each step is one plain line.
    """
    heard: list[str] = []
    started = time.perf_counter()
    with console.status(title) as status:

        def say(text: str) -> None:
            heard.append(text)
            status.update(f"{title}: {text}")

        yield say
    result = f": {heard[-1]}" if heard else ""
    console.print(f"{time.perf_counter() - started:6.1f} s  {title}{result}", highlight=False, soft_wrap=True)


def next_steps(console: Console, lines: Mapping[str, Any]) -> None:
    width = max(map(len, lines))
    for command, meaning in lines.items():
        console.print(f"  {command:<{width}}  {meaning}", highlight=False, markup=False, soft_wrap=True)
