"""The command line: one function for each command. A command imports the heavy libraries that it needs by itself, so
that `--help` is quick.
"""

import atexit
import gc
import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import ConfigError, PipelineError, environment_error

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.config.config import Config
    from pipeline.training.phases import Outcome

# Read by OpenMP when scikit-learn is imported: idle threads sleep instead of spinning against the workers.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="Raw rows to a packaged champion."
)
log_app = typer.Typer(no_args_is_help=True, help="The prediction log.")
app.add_typer(log_app, name="log")
ConfigPath = Annotated[Path, typer.Argument(help="The YAML file that declares the data and the training.")]
Restart = Annotated[
    str | None,
    typer.Option(help="Why a champion of another contract is not compared, for the record.", envvar="RESTART"),
]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, such as train.seed=3.")
]
Version = Annotated[
    str | None, typer.Option(help="The digest of the bundle. Default: the challenger.", envvar="VERSION")
]
AsOf = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Use only rows before this day, such as 2013-07-01.", envvar="AS_OF"),
]
LogUrl = Annotated[
    str | None, typer.Option(help="The prediction log. Default: sqlite:///log/NAME.db", envvar="LOG_URL")
]
StateDir = Annotated[
    Path | None,
    typer.Option(help="The folder that servers read it from. Default: beside the champion.", envvar="STATE_DIR"),
]
Why = Annotated[str | None, typer.Option(help="The reason, for the history. Default: it asks.", envvar="WHY")]
DEFAULT = Path("configs/flights.yaml")
NO_OVERRIDES: list[str] = []


def load_config(path: Path, overrides: list[str]) -> "Config":
    """The config with its overrides; MLFLOW_TRACKING_URI counts as the first of them.

    Raises ConfigError where the config, its dataset or its name is not valid.
    """
    from pipeline.config.config import load
    from pipeline.runtime.dataset import find

    tracking = os.environ.get("MLFLOW_TRACKING_URI")
    if tracking:
        overrides = [f"paths.tracking={tracking}", *overrides]
    config = load(path, overrides)
    find(config.dataset)

    named = any(override.startswith("name=") for override in overrides)
    if path.parent.name == "configs" and config.name != path.stem and not named:
        raise ConfigError(
            f"{path}: its name is {config.name}, and MODEL names file and model alike. Say `name: {path.stem}` there, "
            f"or call the file {path.with_stem(config.name).name}"
        )
    return config


def terminal() -> "Console":
    """The console that a command prints with. The other commands do not import rich."""
    from rich.console import Console

    return Console()


@app.command()
def train(path: ConfigPath = DEFAULT, overrides: Overrides = NO_OVERRIDES, restart: Restart = None) -> None:
    """Clean the data, compare the candidates, package the best as the champion."""
    config = load_config(path, overrides)
    from pipeline.training.train import run

    out = terminal()
    reason = (restart or "").strip() or None
    outcome = run(config, out, restart=reason)
    print_next_steps(outcome, config, path, out)


@app.command()
def bundle(
    path: ConfigPath = DEFAULT,
    overrides: Overrides = NO_OVERRIDES,
    onnx: Annotated[str, typer.Option(help="The model.", envvar="ONNX")] = "",
    restart: Restart = None,
) -> None:
    """Take a model of your own, as ONNX, through the gates; package it as the champion."""
    if not onnx:
        raise ConfigError("name the model: make bundle ONNX=model.onnx")
    config = load_config(path, overrides)
    from pipeline.training.own_model import run

    out = terminal()
    reason = (restart or "").strip() or None
    print_next_steps(run(config, Path(onnx), out, restart=reason), config, path, out)


@app.command()
def retrain(path: ConfigPath = DEFAULT, overrides: Overrides = NO_OVERRIDES, as_of: AsOf = None) -> None:
    """Train on newer data, compare with the champion on days new to both, then train on those days too."""
    config = load_config(path, overrides)
    from pipeline.training.retrain import run

    out = terminal()
    day = as_of.date() if as_of else None
    outcome = run(config, day, out)
    print_next_steps(outcome, config, path, out)


def print_next_steps(outcome: "Outcome", config: "Config", path: Path, out: "Console") -> None:
    """Print where the champion is, and the commands to run next."""
    from pipeline import console

    if outcome.bundle is None:
        out.print("\nNothing was packaged. Train without split.test=none to open the holdout and promote.")
        return
    if not outcome.news:
        out.print("\nNothing new: this model is the champion already.")
    if outcome.news and not config.gates.holdout:
        print_limits(outcome, config, path, out)
    out.print(f"\nThe champion of [b]{config.name}[/b] is {outcome.bundle}. Next:", soft_wrap=True)

    model = "" if config.name == DEFAULT.stem else f" MODEL={config.name}"
    serve = f"make serve{model}"
    runs = f"make mlflow{model}"
    if config.paths.models != "models":
        serve = f"make serve MODEL_DIR={Path(config.paths.models) / config.name}"
    if path != DEFAULT.with_stem(config.name):
        runs = f"python -m pipeline mlflow {path}"
    console.next_steps(out, {serve: "answer predictions over HTTP", runs: "look at this run and the ones before it"})


def print_limits(outcome: "Outcome", config: "Config", path: Path, out: "Console") -> None:
    """Print limits for metrics to paste into a config that has none."""
    from pipeline.training.limits import proposed_limits

    limits = proposed_limits(config.task, outcome.holdout)
    if limits:
        intro = f"\nNo metric has a limit yet. To refuse later models that are far from this one, add to {path}:"
        out.print(intro, highlight=False, soft_wrap=True)
        out.print("\n".join(limits), markup=False, highlight=False, soft_wrap=True)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the config, the model and the image.", envvar="NAME")] = "",
    table: Annotated[str, typer.Argument(help="A CSV or Parquet file.", envvar="CSV")] = "",
    target: Annotated[str, typer.Argument(help="The column to predict.", envvar="TARGET")] = "",
    positive: Annotated[
        str, typer.Option(help="The value of TARGET that is a yes. Default: it finds out.", envvar="POSITIVE")
    ] = "",
    configs: Annotated[Path, typer.Option(help="The folder of the new config.")] = Path("configs"),
) -> None:
    """Look at a table of your own, write a config for it, and say what to look at."""
    if not (name and table and target):
        raise ConfigError("name a table: make new NAME=churn CSV=data/churn.csv TARGET=churned")
    from pipeline.onboarding.new import new as create
    from pipeline.onboarding.summary import lines

    proposal = create(name, Path(table), target, configs, positive or None)
    print("\n".join(lines(proposal, configs / f"{name}.yaml")))


@app.command()
def score(
    path: ConfigPath = DEFAULT,
    overrides: Overrides = NO_OVERRIDES,
    source: Annotated[str, typer.Option("--in", help="A file, a folder or a glob.", envvar="IN")] = "",
    target: Annotated[str, typer.Option("--out", help="The file, or the folder, of the results.", envvar="OUT")] = "",
    bundle: Annotated[
        str | None,
        typer.Option(help="A digest, or models:/NAME@alias. Default: the champion.", envvar="BUNDLE"),
    ] = None,
    explain: Annotated[bool, typer.Option(help="Add the three strongest reasons.", envvar="EXPLAIN")] = False,
) -> None:
    """Predict the rows of files: CSV, Parquet, JSON Lines. Ends with 6: some rows break the contract."""
    if not (source and target):
        raise ConfigError("name both places: make score IN=rows.parquet OUT=predictions.parquet")
    config = load_config(path, overrides)
    from pipeline.scoring import score as scoring

    out = terminal()
    scored = scoring.run(config, source, Path(target), bundle or None, out, explain=explain)
    out.print(scoring.summary(scored, target), highlight=False, soft_wrap=True)
    sys.exit(scoring.REJECTED if scored.rejected else 0)


@app.command()
def refresh(
    path: ConfigPath = DEFAULT,
    overrides: Overrides = NO_OVERRIDES,
    as_of: AsOf = None,
    log_url: LogUrl = None,
    state_dir: StateDir = None,
) -> None:
    """Update the rolling features from the prediction log and its labels."""
    config = load_config(path, overrides)
    from pipeline.monitoring import refresh as refreshing
    from pipeline.registry import promotion

    day = as_of.date() if as_of else None
    result = refreshing.run(promotion.home(config), log_location(log_url, config), day, state_dir)
    days = f", {result.days[0]} to {result.days[-1]}" if result.days else ""
    rows = f"{result.rows:,} labelled rows of the log{days}"
    print(f"The rolling features of {config.name} are of {result.as_of} now, with {rows}.")


@app.command()
def monitor(
    path: ConfigPath = DEFAULT,
    overrides: Overrides = NO_OVERRIDES,
    as_of: AsOf = None,
    log_url: LogUrl = None,
    state_dir: StateDir = None,
) -> None:
    """Compare predictions with their labels. Ends with 5: train again, or with 6: the data are broken."""
    config = load_config(path, overrides)
    from pipeline.monitoring import monitor as watching
    from pipeline.monitoring import report
    from pipeline.registry import promotion

    models = promotion.home(config)
    day = as_of.date() if as_of else None
    result = watching.check_champion(models, log_location(log_url, config), config.monitor, day)

    try:
        report.publish(config, state_dir or models, result, terminal())
    except PipelineError as error:
        if result.code == watching.QUIET:
            raise
        print(f"error: {error}", file=sys.stderr)  # the exit code still reports the result: a scheduler waits for it
    sys.exit(result.code)


@app.command()
def skew(
    path: ConfigPath = DEFAULT, overrides: Overrides = NO_OVERRIDES, as_of: AsOf = None, log_url: LogUrl = None
) -> None:
    """Compare logged inputs with the same rows in data that came later. Ends with 6: a column is not what it was."""
    config = load_config(path, overrides)
    from pipeline.monitoring import skew as comparison
    from pipeline.monitoring import skew_report

    day = as_of.date() if as_of else None
    result = comparison.run(config, log_location(log_url, config), day)
    file = Path(config.paths.reports) / f"{config.name}.skew" / comparison.FILE
    skew_report.show(result, str(file), terminal())
    sys.exit(result.code)


@app.command()
def replay(
    path: ConfigPath = DEFAULT,
    overrides: Overrides = NO_OVERRIDES,
    until: Annotated[
        str | None, typer.Option(help="Play on to the end of this month, or this day.", envvar="UNTIL")
    ] = None,
) -> None:
    """Play months of the data through two running servers, day by day: log, refresh, monitor, train, promote."""
    config = load_config(path, overrides)
    from pipeline.replay import replay as playing
    from pipeline.replay import report

    out = terminal()
    result = playing.run(config, until, out)
    report.publish(config, result, out)


@log_app.command()
def prune(
    path: ConfigPath = DEFAULT,
    overrides: Overrides = NO_OVERRIDES,
    log_url: LogUrl = None,
    days: Annotated[
        int | None, typer.Option(min=0, max=100_000, help="Keep the predictions of this many days.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=0, help="Keep this many predictions, the newest.")] = None,
) -> None:
    """Remove old predictions and their labels from the log."""
    if days is None and rows is None:
        raise ConfigError("nothing says what to keep. Give --days, --rows or both")
    config = load_config(path, overrides)
    from pipeline.runtime import prediction_log

    with prediction_log.opened(log_location(log_url, config)) as engine:
        removed = prediction_log.prune(engine, config.name, days, rows)
    print(f"{removed:,} predictions of {config.name} removed.")


def log_location(log_url: str | None, config: "Config") -> str:
    """The URL of the prediction log; by default that of `make serve`.

    Raises ConfigError where the URL names a SQLite file that does not exist.
    """
    url = log_url or f"sqlite:///log/{config.name}.db"
    file = url.removeprefix("sqlite:///")
    if file != url and not Path(file).is_file():
        raise ConfigError(f"{file}: there is no prediction log. `make serve` writes one, or LOG_URL names another")
    return url


@app.command()
def promote(
    path: ConfigPath = DEFAULT, overrides: Overrides = NO_OVERRIDES, version: Version = None, why: Why = None
) -> None:
    """Make another bundle the champion, if its gates let it out."""
    from pipeline.registry import promotion

    config = trained_config(path, overrides)
    present = promotion.champion(config)
    chosen = version or promotion.challenger(config)
    if chosen == present:
        print(f"Nothing to do: {chosen} is the champion of {config.name} already.")
        return

    promotion.promote(config, chosen, instead_of=present, why=required_reason(why))
    print(f"{promotion_message(config, chosen, present)} `make rollback` goes back.")


@app.command()
def rollback(path: ConfigPath = DEFAULT, overrides: Overrides = NO_OVERRIDES, why: Why = None) -> None:
    """Make the champion before the present one the champion again."""
    from pipeline.registry import promotion

    config = trained_config(path, overrides)
    present = promotion.champion(config)
    before = promotion.previous(config)

    promotion.promote(config, before, instead_of=present, why=required_reason(why), kind="rollback")
    print(f"{promotion_message(config, before, present)} `make promote VERSION={present}` brings that one back.")


def promotion_message(config: "Config", digest: str, before: str | None) -> str:
    """The sentences that describe a move of the champion from the digest `before` to `digest`."""
    replaced = f" instead of {before}" if before else ""
    return f"The champion of {config.name} is {digest} now{replaced}. Running servers load it within a second."


@app.command()
def history(path: ConfigPath = DEFAULT, overrides: Overrides = NO_OVERRIDES) -> None:
    """List every change of the champion with its reason; the newest comes last."""
    from pipeline.registry import promotion

    moves = promotion.history(trained_config(path, overrides))
    print("\n".join(promotion.describe_move(move) for move in moves) or "There has been no champion yet.")


def trained_config(path: Path, overrides: list[str]) -> "Config":
    """The config of a trained model, after pointer, history and MLflow's alias were made to agree.

    Raises ConfigError where the model has not been trained yet.
    """
    config = load_config(path, overrides)
    from pipeline.registry import mlflow_store, promotion

    if not promotion.home(config).is_dir():
        raise ConfigError(f"{promotion.home(config)}: there is no model yet. Run `make train`")
    repaired = mlflow_store.connect(config.name, config.paths.tracking)
    for message in [*repaired, *promotion.reconcile(config)]:
        print(f"Repaired: {message}", file=sys.stderr)
    return config


def required_reason(why: str | None) -> str:
    """The reason for a move. On a terminal a missing reason is asked for. Raises ConfigError where there is none."""
    if not why:
        why = typer.prompt("Why") if sys.stdin.isatty() else ""
    if not why.strip():
        raise ConfigError('the history needs a reason: --why "…", or WHY="…" with make')
    return str(why.strip())


@app.command()
def config(
    path: ConfigPath = DEFAULT,
    overrides: Overrides = NO_OVERRIDES,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a config instead.")] = False,
) -> None:
    """Check a config and print it as it will be used, with every default."""
    from pipeline.config.config import Config

    shown = Config.model_json_schema() if schema else load_config(path, overrides).model_dump(mode="json")
    print(json.dumps(shown, indent=2, ensure_ascii=False))


@app.command()
def mlflow(
    path: ConfigPath = DEFAULT,
    overrides: Overrides = NO_OVERRIDES,
    port: Annotated[int, typer.Option(help="The port of the local MLflow server.")] = 5000,
) -> None:
    """Show the recorded runs in MLflow, started here unless MLFLOW_TRACKING_URI names a server."""
    config = load_config(path, overrides)
    from pipeline.registry import mlflow_store

    uri = config.paths.tracking
    page, repaired = mlflow_store.page(config.name, uri, port)
    for message in repaired:
        print(f"Repaired: {message}", file=sys.stderr)

    print(f"The runs of {config.name}: {page}", flush=True)
    if not uri.startswith("http"):
        os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # seven processes that nothing here uses
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
        os.execv(sys.executable, [*command, "--backend-store-uri", uri])  # noqa: S606 -- reason: no shell is meant


def main() -> None:
    """Run a command. A PipelineError ends with one message and its exit code, not with a traceback.

    So does an error of the operating system, such as a full disk, that no part of the command has handled.
    """
    gc.set_threshold(100_000, 20, 50)  # the default looks through all objects so often that it is a tenth of the time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that cleanup code runs
    atexit.register(gc.freeze)  # the end of a process would look through all its objects, a second of them
    try:
        app(prog_name="python -m pipeline")
    except PipelineError as error:
        end_with(error)
    except OSError as error:
        reported = environment_error(error)
        if reported is None:
            raise
        end_with(reported)


def end_with(error: PipelineError) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
