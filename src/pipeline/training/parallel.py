"""Fits side by side, one thread each, on the cores of this machine or on a Dask cluster: where changes no result."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from threadpoolctl import threadpool_limits

from pipeline.config.config import Config
from pipeline.data.split import Fold
from pipeline.errors import ConfigError
from pipeline.runtime.arrays import Tensors

WIDEST = 32  # characters up to which text gets one width
PATIENCE = 10  # seconds for a scheduler to answer
MOST_SENT = 16  # sets of rows that a cluster keeps: more than the tasks of one fold have


def run(config: Config, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """Call the function with each tuple of arguments, and yield the results in the order of the tasks.

    With one worker it is called in this process. Arrays of numbers and of text of one width are shared with the
    processes, other arguments are copied to them. Tasks are taken as they are worked on, so there may be any number.

    Raises ConfigError for a cluster that is not there.
    """
    if config.train.backend == "dask":
        yield from on_cluster(config.train.scheduler or os.environ.get("DASK_SCHEDULER_ADDRESS", ""), function, tasks)
        return

    most = max(1, len(tasks)) if isinstance(tasks, Sequence) else workers(config)
    yield from Parallel(n_jobs=min(workers(config), most), return_as="generator", batch_size=1)(
        delayed(function)(*arguments) for arguments in tasks
    )


def on_cluster(address: str, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """Run the tasks on a Dask cluster."""
    cluster = connect(address)
    pending: deque[Any] = deque()
    ahead = len(tasks) if isinstance(tasks, Sequence) else 2 * sum(cluster.client.nthreads().values())

    try:
        for arguments in tasks:
            placed = map(cluster.placed, arguments)
            pending.append(cluster.client.submit(with_one_thread, function, *placed, pure=False))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "distributed":
            raise
        fault = " ".join(str(error).split())[:200]
        raise ConfigError(f"train.scheduler: the cluster at {address} did not end its work: {fault}") from None


class Cluster:
    """A Dask cluster, and the rows that it has got.

    joblib's own backend for Dask scatters rows. What is scattered is lost with the worker that holds it, and the result
    of a task is not: the scheduler has it made again. So here rows are the results of tasks.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._sent: dict[int, tuple[Any, Any]] = {}  # by identity: the rows too, so that no others get their identity

    def placed(self, argument: Any) -> Any:
        """The rows of an argument as they are on the cluster, which gets the same rows once; anything else as it is."""
        if isinstance(argument, dict):
            return {name: self.placed(value) for name, value in argument.items()}
        if not isinstance(argument, Tensors | Fold | np.ndarray):
            return argument

        entry = self._sent.pop(id(argument), None) or (argument, self.client.submit(itself, argument, pure=False))
        self._sent[id(argument)] = entry  # the last one used is the last one to go
        if len(self._sent) > MOST_SENT:
            del self._sent[next(iter(self._sent))]
        return entry[1]


def itself(value: Any) -> Any:
    return value


@lru_cache(maxsize=1)
def connect(address: str) -> Cluster:
    """The cluster of the scheduler at an address. Raises ConfigError where none answers, or where it has no worker."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("train.backend: dask is not installed here. Run `make .venv/.dask`") from None
    if not address.startswith(("tcp://", "tls://")):
        fault = f"{address} is no address" if address else "is missing"
        raise ConfigError(f"train.scheduler: {fault}. Name it, such as tcp://HOST:8786, or set DASK_SCHEDULER_ADDRESS")

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
        client.wait_for_workers(1, timeout=PATIENCE)
    except (OSError, ValueError) as error:  # also TimeoutError
        fault = "it has no worker; start one with `dask worker`" if "worker" in str(error) else "no scheduler answers"
        raise ConfigError(f"train.scheduler: {address}: {fault}") from None
    return Cluster(client)


def with_one_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function on a worker of a cluster. The processes of joblib have one thread each by themselves."""
    with threadpool_limits(1):
        return function(*arguments)


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function: for `run`, where tasks differ in theirs."""
    return function(*arguments)


def shareable(data: Tensors) -> Tensors:
    """Give text one width, so that processes share it and do not copy it. Longer text stays as it is."""
    columns = [pd.factorize(column) for column in data.strings.T]
    widest = [max(map(len, distinct), default=0) for _, distinct in columns]
    if not columns or max(widest) > WIDEST:
        return data
    width = f"U{max(1, *widest)}"
    return data._replace(strings=np.column_stack([distinct.astype(width)[codes] for codes, distinct in columns]))


def workers(config: Config) -> int:
    """Return the number of parallel fits. `auto` is the number of cores that the process or its container may use."""
    count = config.train.workers
    return cpu_count() if count == "auto" else count
