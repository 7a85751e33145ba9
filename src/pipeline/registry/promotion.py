"""Who became champion when, on whose word and why. The pointer moves only here, one move at a time; each move is a line
of `history.jsonl` beside it, and MLflow's alias follows.
"""

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.config.config import Config
from pipeline.errors import BundleError, ConfigError, RefusedError
from pipeline.registry import mlflow_store, run_folder
from pipeline.runtime import bundle_store, predictor

LEDGER = "history.jsonl"


class Move(NamedTuple):
    """One change of the pointer; `before` and `after` are digests, None where there is no champion."""

    when: str
    who: str
    kind: Literal["promote", "rollback", "restart", "found"]
    before: str | None
    after: str | None
    why: str


def home(config: Config) -> Path:
    """The folder of a config's bundles."""
    return Path(config.paths.models) / config.name


def promote(
    config: Config,
    digest: str,
    *,
    instead_of: str | None,
    why: str,
    what: Literal["promote", "rollback", "restart"] = "promote",
) -> Move:
    """Make a proven bundle the champion. Two at once: the second finds another champion than it meant to replace.

    Raises RefusedError then, and where a gate has refused the bundle; BundleError where it does not prove itself.
    """
    models = home(config)
    if refused := failed_gates(models, digest):
        raise RefusedError(f"{digest} may not go out: it was refused by {'; '.join(refused)}")
    predictor.load(models / digest)
    with bundle_store.locked(models):
        present, moves = bundle_store.pointer(models), history(config)
        if present == digest and moves:
            return moves[-1]  # another command was quicker, with the very same model
        if present != instead_of:
            last = moves[-1:]
            by = f", by {last[0].who} at {last[0].when}: {last[0].why}" if last and last[0].after == present else ""
            raise RefusedError(
                f"{digest} was to take the place of {instead_of or 'nothing'}, and meanwhile the champion is "
                f"{present or 'gone'}{by}. Nothing was changed; run it again to hold it against that one"
            )
        bundle_store.point(models, digest)
        move = _write(models, Move(_now(), _who(), what, present, digest, why))
    mlflow_store.sync_champion_alias(config.contract, models / digest, config.paths.tracking)
    return move


def champion(config: Config) -> str | None:
    """The present champion's digest."""
    return bundle_store.pointer(home(config))


def challenger(config: Config) -> str:
    """The newest trained model's digest. Raises ConfigError where MLflow knows none."""
    found = mlflow_store.version_with_alias(config.name, mlflow_store.CHALLENGER)
    if found is None:
        raise ConfigError(f"MLflow knows no challenger of {config.name}. Name a bundle: --version DIGEST")
    return found[1]


def previous(config: Config) -> str:
    """The champion before the present one: what a rollback goes to. Raises ConfigError where there was none."""
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
    """One move in a line."""
    return (
        f"{move.when}  {move.kind:<8}  {move.before or 'nothing'} -> {move.after or 'nothing'}  {move.who}: {move.why}"
    )


def history(config: Config) -> list[Move]:
    """Every move, oldest first. A last line that a crash cut short is left out."""
    models = home(config)
    try:
        lines = (models / LEDGER).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    moves = []
    for number, line in enumerate(lines, 1):
        try:
            move = json.loads(line)
            if "what" in move:  # as it was called before
                move["kind"] = move.pop("what")
            moves.append(Move(**move))
        except (ValueError, TypeError) as error:
            if number < len(lines):
                raise BundleError(f"{models / LEDGER}:{number}: is not a move: {error}") from None
    return moves


def reconcile(config: Config) -> list[str]:
    """Mend what a kill or a crash between the pointer, its record and MLflow's alias left, or a hand; what was done."""
    models, said = home(config), []
    with bundle_store.locked(models):
        present, moves = bundle_store.pointer(models), history(config)
        known = moves[-1].after if moves else None
        if present != known:
            _write(models, Move(_now(), _who(), "found", known, present, "the pointer had moved without a record"))
            ends = f"is at {present or 'nothing'}, the record was at {known or 'nothing'}"
            said.append(f"{models / bundle_store.POINTER} {ends}")
        if count := bundle_store.clear_unfinished(models):
            said.append(f"what a command cut short had left unfinished in {models} was tidied up ({count})")
    mended = mlflow_store.sync_champion_alias(
        config.contract, models / present if present else None, config.paths.tracking
    )
    return (
        said
        + ([f"MLflow's alias {mlflow_store.CHAMPION} was {mended}"] if mended else [])
        + clean_up_killed_runs(config)
    )


def clean_up_killed_runs(config: Config) -> list[str]:
    """Remove the working folders of trainings that were killed and end their runs in MLflow; what was done."""
    said = []
    for folder in run_folder.abandoned(Path(config.paths.reports), config.name):
        ended = mlflow_store.end_killed(config.name, folder.name, config.paths.tracking)
        run_folder.remove(folder, config.name)
        runs = f", and {ended} open {'run' if ended == 1 else 'runs'} of it in MLflow marked as KILLED" if ended else ""
        said.append(f"{folder} of a training that was killed was removed{runs}")
    return said


def failed_gates(models: Path, digest: str) -> list[str]:
    """The gates that refused a bundle when it was trained. Raises ConfigError where there is no such bundle."""
    if not bundle_store.DIGEST.fullmatch(digest) or not (models / digest).is_dir():
        there = sorted(path.name for path in models.iterdir() if bundle_store.DIGEST.fullmatch(path.name))
        raise ConfigError(f"{models}: has no bundle {digest!r}. Found: {', '.join(there) or 'none'}")
    try:
        record: dict[str, Any] = json.loads((models / digest / "record.json").read_bytes())
        refused = [gate for gate in record["gates"] if not gate["passed"]]
        return [f"{gate['gate']} ({gate['value']}, allowed {gate['limit']})" for gate in refused]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{models / digest}: its record of the gates cannot be read: {error!r}") from error


def _write(models: Path, move: Move) -> Move:
    """One line more, on disk before anyone goes on; what a crash left of a line is cut off first."""
    with (models / LEDGER).open("a+b") as file:
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
