"""Promotion and rollback: which bundle is the champion, and who made it that, when and why.

Only this module moves the pointer to the champion, one move at a time. Each move is a line of `history.jsonl` beside
the pointer, and MLflow's alias follows the pointer.
"""

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.config.config import Config
from pipeline.errors import BundleError, ConfigError, RefusedError
from pipeline.registry import mlflow_store, mlflow_versions, run_folder
from pipeline.runtime import bundle_store, predictor, regular_file

LEDGER = "history.jsonl"
MAX_BYTES = 64 * 2**20  # of the history, and of a bundle's record


class Move(NamedTuple):
    """One change of the pointer; `before` and `after` are digests, None where there is no champion.

    `when` is a UTC time in ISO 8601. The kind `found` records a pointer that was moved without this module.
    """

    when: str
    who: str
    kind: Literal["promote", "rollback", "restart", "found"]
    before: str | None
    after: str | None
    why: str


def home(config: Config) -> Path:
    return Path(config.paths.models) / config.name


def promote(
    config: Config,
    digest: str,
    *,
    instead_of: str | None,
    why: str,
    kind: Literal["promote", "rollback", "restart"] = "promote",
) -> Move:
    """Make a bundle the champion in place of `instead_of`, and record the move.

    Raises RefusedError where a gate refused the bundle, or the champion is not `instead_of` any more because another
    command was faster; BundleError where the bundle fails its own checks.
    """
    models = home(config)
    if refused := failed_gates(models, digest):
        raise RefusedError(f"{digest} is not allowed to be promoted: it was refused by {'; '.join(refused)}")
    predictor.load(models / digest)

    with bundle_store.locked(models):
        present = bundle_store.pointer(models)
        moves = history(config)
        if present == digest and moves:
            return moves[-1]  # another command has promoted the very same bundle
        if present != instead_of:
            last = moves[-1] if moves else None
            by = f", by {last.who} at {last.when}: {last.why}" if last and last.after == present else ""
            raise RefusedError(
                f"{digest} was to replace {instead_of or 'nothing'}, but meanwhile the champion is "
                f"{present or 'none'}{by}. Nothing was changed; run it again to compare with that one"
            )

        bundle_store.point(models, digest)
        move = _write(models, Move(_now(), _who(), kind, present, digest, why))

    mlflow_versions.sync_champion_alias(config.contract, models / digest, config.paths.tracking)
    return move


def champion(config: Config) -> str | None:
    """The digest of the champion, or None where there is none."""
    return bundle_store.pointer(home(config))


def challenger(config: Config) -> str:
    """The digest of the challenger, the newest registered model. Raises ConfigError where MLflow knows none."""
    version = mlflow_versions.version_with_alias(config.name, mlflow_versions.CHALLENGER)
    if version is None:
        raise ConfigError(f"MLflow knows no challenger of {config.name}. Name a bundle: --version DIGEST")
    return version[1]


def previous(config: Config) -> str:
    """The digest of the champion before the present one, to which a rollback goes.

    A champion that a rollback replaced does not count. Raises ConfigError where there is no earlier champion.
    """
    models = home(config)
    champions: list[str] = []
    for move in history(config):
        if move.after is None:
            champions.clear()
        elif move.kind == "rollback" and move.after in champions:
            del champions[champions.index(move.after) + 1 :]
        else:
            champions.append(move.after)

    if len(champions) < 2:
        now = bundle_store.pointer(models) or "the first"
        raise ConfigError(f"{models}: there is no champion before {now} to go back to")
    return champions[-2]


def describe_move(move: Move) -> str:
    return (
        f"{move.when}  {move.kind:<8}  {move.before or 'nothing'} -> {move.after or 'nothing'}  {move.who}: {move.why}"
    )


def history(config: Config) -> list[Move]:
    """Every move, oldest first. A last line that a crash cut short is left out.

    Raises BundleError for any other line that is not a move.
    """
    models = home(config)
    try:
        lines = regular_file.read(models / LEDGER, MAX_BYTES).decode().splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise BundleError(f"{models / LEDGER}: cannot be read as a history: {error}. Restore or remove it") from None

    moves = []
    for number, line in enumerate(lines, 1):
        try:
            moves.append(parse_move(line))
        except (ValueError, TypeError, RecursionError) as error:
            if number < len(lines):
                raise BundleError(f"{models / LEDGER}:{number}: is not a move: {error}") from None
    return moves


def parse_move(line: str) -> Move:
    """The move in a line of the history. Raises ValueError, TypeError or RecursionError for any other line."""
    content: dict[str, Any] = json.loads(line)
    if "what" in content:  # the key's name in older files
        content["kind"] = content.pop("what")

    move = Move(**content)
    if not all(value is None or isinstance(value, str) for value in move):
        raise TypeError("every value of a move is a text or null")
    return move


def reconcile(config: Config) -> list[str]:
    """Make the pointer, its history and MLflow's alias agree after a crash or a change by hand.

    Returns messages about what was repaired. Raises ConfigError where MLflow's store cannot be used.
    """
    models = home(config)
    messages = []
    with bundle_store.locked(models):
        present = bundle_store.pointer(models)
        moves = history(config)
        recorded = moves[-1].after if moves else None
        if present != recorded:
            _write(models, Move(_now(), _who(), "found", recorded, present, "the champion changed without a record"))
            ends = f"is at {present or 'nothing'}, the record was at {recorded or 'nothing'}"
            messages.append(f"{models / bundle_store.POINTER} {ends}")
        if count := bundle_store.clear_unfinished(models):
            messages.append(f"unfinished files of an interrupted command were removed from {models} ({count})")

    bundle = models / present if present else None
    change = mlflow_versions.sync_champion_alias(config.contract, bundle, config.paths.tracking)
    if change:
        messages.append(f"MLflow's alias {mlflow_versions.CHAMPION} was {change}")

    return messages + clean_up_killed_runs(config)


def clean_up_killed_runs(config: Config) -> list[str]:
    """Remove the working folders of killed trainings and end their runs in MLflow; returns messages about each."""
    messages = []
    for folder in run_folder.abandoned(Path(config.paths.reports), config.name):
        ended = mlflow_store.end_killed(config.name, folder.name, config.paths.tracking)
        run_folder.remove(folder, config.name)
        noun = "run" if ended == 1 else "runs"
        runs = f", and {ended} open {noun} of it in MLflow marked as KILLED" if ended else ""
        messages.append(f"{folder} of a training that was killed was removed{runs}")
    return messages


def failed_gates(models: Path, digest: str) -> list[str]:
    """The gates that refused a bundle when it was trained, each with its value and limit.

    Raises ConfigError where there is no such bundle, and BundleError where its record cannot be read.
    """
    if not bundle_store.DIGEST.fullmatch(digest) or not (models / digest).is_dir():
        there = sorted(path.name for path in models.iterdir() if bundle_store.DIGEST.fullmatch(path.name))
        raise ConfigError(f"{models}: has no bundle {digest!r}. Found: {', '.join(there) or 'none'}")

    try:
        content = regular_file.read(models / digest / "record.json", MAX_BYTES, follow_link=False)
        record: dict[str, Any] = json.loads(content)
        refused = [gate for gate in record["gates"] if not gate["passed"]]
        return [f"{gate['gate']} ({gate['value']}, allowed {gate['limit']})" for gate in refused]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{models / digest}: its record of the gates cannot be read: {error!r}") from error


def _write(models: Path, move: Move) -> Move:
    """Append a move to the history and flush it to disk. An incomplete last line, left by a crash, is removed first."""
    with (models / LEDGER).open("a+b") as file:
        if not file.tell():  # a new file; an older one may belong to another user
            os.fchmod(file.fileno(), bundle_store.FILE_MODE)
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(move._asdict(), ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return move


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user has no name
        return f"uid {os.getuid()}"
