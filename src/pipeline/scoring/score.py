"""Score files of any size with a bundle: in chunks, side by side, with the contract and the answers of the server.

Each chunk's result is a file of its own in a hidden folder until all are there, so that nothing half-written is ever
visible, and a scoring that was killed goes on where it was.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.config.config import Config
from pipeline.errors import ConfigError, DataError
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import json_bytes
from pipeline.runtime.dataset import DataFile
from pipeline.scoring.chunk import Scored, Task, loaded, score_chunk
from pipeline.scoring.files import Format, format_of
from pipeline.scoring.plan import Plan, begin, bundle_folder, source_files
from pipeline.training import parallel

ROWS = 50_000  # of a chunk
REJECTED = 6  # exit code of a scoring that rejected rows


def run(
    config: Config, source: str, target: Path, bundle: str | None, out: Console, *, explain: bool = False
) -> Scored:
    """Score a file, a folder or a glob into a file or a folder of the same formats.

    Rows that break the contract go to `NAME.rejected.jsonl` with their reason. Raises ConfigError for a target that
    exists, DataError for files that cannot be read or lack a column.
    """
    folder = bundle_folder(config, bundle)
    sources, into_folder = source_files(source)
    targets = [target / path.name for path in sources] if into_folder else [target]
    for path, result in zip(sources, targets, strict=True):
        if format_of(path) != format_of(result):
            raise ConfigError(f"{result}: has another format than {path}; what is read is written")

    work = target.with_name(f".{target.name}.unfinished")
    written = config.data.model_dump(include={"delimiter", "encoding", "decimal", "missing"})
    files = {str(path.absolute()): (path.stat().st_size, path.stat().st_mtime_ns) for path in sources}
    begin(work, Plan(loaded(folder).version, files, written, ROWS, explain), targets)

    counts = []
    try:
        with bundle_store.locked(work, wait=False), progress(out) as bar:
            for number, (path, result) in enumerate(zip(sources, targets, strict=True)):
                parts = work / f"{number:06d}"
                counts.append(score_file(config, folder, path, result, parts, bar, explain=explain))
    except BlockingIOError:
        raise ConfigError(f"{target}: another scoring is at work on it; wait for it, or name another place") from None
    except DataError:
        shutil.rmtree(work)  # the file has to change, and then nothing of this is worth keeping
        raise
    shutil.rmtree(work)
    return Scored(sum(count.rows for count in counts), sum(count.rejected for count in counts))


def score_file(
    config: Config, folder: Path, path: Path, result: Path, parts: Path, bar: Progress, *, explain: bool
) -> Scored:
    """Score one file, and put its result and its rejected rows where they belong, complete."""
    done = parts.with_suffix(".json")
    if done.exists():
        return Scored(**json.loads(done.read_bytes()))
    parts.mkdir(exist_ok=True)
    format_ = format_of(path)
    row = bar.add_task(path.name, total=None)

    tasks = unfinished(path, config.data, parts, format_, folder, explain=explain)
    for count in parallel.run(config, score_chunk, tasks):
        bar.advance(row, count.rows)

    counted = [Scored(**json.loads(file.read_bytes())) for file in sorted(parts.glob("*.json"))]
    rejected = sum(count.rejected for count in counted)
    joined = parts / result.name
    format_.join(sorted(parts.glob("*.part")), joined)
    result.parent.mkdir(parents=True, exist_ok=True)
    if rejected:
        with (parts / "rejected").open("wb") as file:
            for part in sorted(parts.glob("*.rejected")):
                file.write(part.read_bytes())
        (parts / "rejected").replace(result.with_name(f"{result.name}.rejected.jsonl"))

    joined.replace(result)
    total = Scored(sum(count.rows for count in counted), rejected)
    bundle_store.replace(done, json_bytes(total._asdict()))
    shutil.rmtree(parts)
    return total


def unfinished(
    path: Path, file: DataFile, parts: Path, format_: Format, folder: Path, *, explain: bool
) -> Iterator[tuple[Task]]:
    """Yield the chunks of a file that have no result yet. Raises DataError where the file cannot be read."""
    before = 0
    try:
        for number, chunk in enumerate(format_.read(path, file, ROWS)):
            part = parts / f"{number:06d}.part"
            if not part.with_suffix(".json").exists():
                yield (Task(folder, chunk, path, before, file, part, explain),)
            before += len(chunk)
    except (ValueError, OSError) as error:  # also of pyarrow and pandas
        raise DataError(f"{path}: cannot be read: {' '.join(str(error).split())[:300]}") from None


def summary(scored: Scored, target: str) -> str:
    """Say what came of it, and where the rejected rows are."""
    lines = f"{scored.rows - scored.rejected:,} rows scored: {target}"
    if scored.rejected:
        verb = "row breaks" if scored.rejected == 1 else "rows break"
        lines += f"\n{scored.rejected:,} {verb} the contract: the .rejected.jsonl beside it says why"
    return lines


def progress(out: Console) -> Progress:
    """A line for each file with its rows and the time. Nothing is seen of it where the output is no terminal."""
    rows = TextColumn("{task.completed:,.0f} rows")
    return Progress(TextColumn("{task.description}"), rows, BarColumn(), TimeElapsedColumn(), console=out)
