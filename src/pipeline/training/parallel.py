"""Fits side by side, in processes of one thread each: how many there are changes no result."""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from joblib import Parallel, cpu_count, delayed

from pipeline.config.config import Config
from pipeline.runtime.arrays import Tensors

WIDEST = 32  # characters up to which text gets one width


def run(config: Config, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """Call the function with each tuple of arguments, and yield the results in the order of the tasks.

    With one worker it is called in this process. Arrays of numbers and of text of one width are shared with the
    processes, other arguments are copied to them. Tasks are taken as they are worked on, so there may be any number.
    """
    most = max(1, len(tasks)) if isinstance(tasks, Sized) else workers(config)
    results: Iterator[Any] = Parallel(n_jobs=min(workers(config), most), return_as="generator", batch_size=1)(
        delayed(function)(*arguments) for arguments in tasks
    )
    return results


def shareable(data: Tensors) -> Tensors:
    """Give text one width, so that processes share it and do not copy it. Longer text stays as it is."""
    widest = max((len(text) for text in data.strings.ravel().tolist()), default=0)
    return data._replace(strings=data.strings.astype(f"U{max(1, widest)}")) if widest <= WIDEST else data


def workers(config: Config) -> int:
    """Return the number of parallel fits. `auto` is the number of cores that the process or its container may use."""
    count = config.train.workers
    return cpu_count() if count == "auto" else count
