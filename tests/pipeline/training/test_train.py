"""The whole way from raw rows to a champion, on the parcels config and on a table that no code knows."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console
from sklearn.datasets import load_breast_cancer, load_diabetes

from pipeline.config.config import load
from pipeline.data import clean
from pipeline.errors import ConfigError, DataError, RefusedError
from pipeline.evaluation.bootstrap import blocks
from pipeline.runtime import arrays, bundle_store
from pipeline.runtime.arrays import columns_to_json, tensors, to_columns
from pipeline.runtime.dataset import find
from pipeline.runtime.predictor import load as load_predictor
from pipeline.runtime.request_model import request_model
from pipeline.training.train import prepare, run
from tests.support.parcels import CONFIG, Parcels, settings
from tests.support.server import serving
from tests.support.toy import Toy, in_folder


def test_a_training_ends_with_a_proven_champion(parcels: Parcels) -> None:
    assert bundle_store.resolve(parcels.store) == parcels.bundle
    assert load_predictor(parcels.store).version == parcels.bundle.name


def test_the_settings_that_were_found_are_the_ones_refitted(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.training import estimators

    fitted: list[object] = []
    honest = estimators.fit
    monkeypatch.setattr(
        estimators, "fit", lambda settings, *given, **more: fitted.append(settings) or honest(settings, *given, **more)
    )
    tried = "search.kinds={boosting: {trials: 4, space: {max_leaf_nodes: {low: 3, high: 31}}}}"
    outcome = toy.train("candidates={linear: {C: 0.0001}, boosting: {max_iter: 20, min_samples_leaf: 20}}", tried)
    assert outcome.bundle is not None
    record = json.loads((outcome.bundle / "record.json").read_text())
    found = next(s for s in outcome.standings if s.name == record["candidate"])
    assert fitted[-1] == found.settings
    assert record["settings"] == found.settings.model_dump()
    assert set(record["candidates"]) == {"linear", "boosting"}


def test_progress_is_plain_lines_where_there_is_no_terminal(parcels: Parcels) -> None:
    """It ends with the figures."""
    printed = parcels.printed
    assert "\x1b" not in printed
    assert "Read and clean the data: " in printed
    assert "roc_auc" in printed


def test_every_holdout_figure_has_an_interval_around_it(parcels: Parcels) -> None:
    metrics = json.loads((parcels.bundle / "bundle.json").read_text())["metrics"]
    assert set(metrics) == {
        "roc_auc", "average_precision", "log_loss", "skill", "brier", "ece", "accuracy", "precision", "recall", "f1"
    }  # fmt: skip
    for name, figure in metrics.items():
        assert figure["low"] < figure["high"], name


def test_the_report_has_counts_and_rejected_rows_and_no_png(parcels: Parcels) -> None:
    reports = Path(parcels.config.paths.reports) / "parcels"
    told = json.loads((reports / "data_report.json").read_text())
    assert told["rows"] == {"loaded": 4200, "rejected": 0, "valid": 4200, "without_outcome": 0, "same_key": 0}
    assert (reports / "rejected.csv").read_text().startswith("row,carrier,")
    assert not list(reports.glob("*.png"))


def test_a_rare_outcome_is_mentioned_once_when_the_data_were_read(toy: Toy, tmp_path: Path) -> None:
    frame = pd.read_csv(toy.folder / "toy.csv")
    frame["good"] = frame.index % 20 == 0
    frame.to_csv(toy.folder / "toy.csv", index=False)
    printed = io.StringIO()
    prepare(toy.config(), tmp_path, Console(file=printed, width=200))
    assert "4,000 rows, before the holdout 5.0% positive" in printed.getvalue()
    assert printed.getvalue().count("Only 150 rows have the rarer outcome: accuracy misleads") == 1
    assert "which put the threshold at 0.25\n" in printed.getvalue()


# --- no skew: a row is the same row wherever it comes from ---------------------------------------------------------


def test_a_training_row_and_the_same_row_as_json_have_equal_features(parcels: Parcels) -> None:
    """The features of a row that is sent as JSON are equal to the bit."""
    config, dataset = parcels.config, find("table")
    frame = clean.clean(dataset.load(config.data, config.columns).frame.iloc[::500], config.contract).frame
    known = clean.frame_to_columns(frame, config.contract)
    trained = {name: known.get(name, np.linspace(0, 1, len(frame)) / 3) for name in config.request}
    sent = json.loads(json.dumps(arrays.to_rows(columns_to_json(trained, config.request))))
    model = request_model(config.contract)
    served = to_columns([model.model_validate(row).model_dump() for row in sent], config.contract)
    one_by_one = [to_columns([row], config.contract) for row in sent]
    ours = tensors(dataset.derive(trained), config.contract)
    theirs = tensors(dataset.derive(served), config.contract)
    assert ours.strings.tolist() == theirs.strings.tolist()
    assert ours.numbers.tobytes() == theirs.numbers.tobytes()
    for position, columns in enumerate(one_by_one):
        alone = tensors(dataset.derive(columns), config.contract)
        assert alone.numbers.tobytes() == ours.numbers[position : position + 1].tobytes()


# --- behaviour of the model ----------------------------------------------------------------------------------------


@pytest.fixture
def asked(parcels: Parcels) -> dict[str, np.ndarray]:
    """Request columns of the golden rows that have everything."""
    return {name: values[:48].copy() for name, values in load_predictor(parcels.bundle).golden.columns.items()}


def test_the_date_alone_does_not_matter(parcels: Parcels, asked: dict[str, np.ndarray]) -> None:
    predictor = load_predictor(parcels.bundle)
    moved = {
        **asked,
        "sent": asked["sent"] + np.timedelta64(28 * 24 * 3600, "s"),
    }
    assert (predictor.predict(moved) == predictor.predict(asked)).all()


def test_the_other_rows_of_a_batch_do_not_matter(parcels: Parcels, asked: dict[str, np.ndarray]) -> None:
    predictor = load_predictor(parcels.bundle)
    turned = {name: values[::-1] for name, values in asked.items()}
    assert (predictor.predict(turned)[::-1] == predictor.predict(asked)).all()


def test_what_raises_the_risk_in_the_data_raises_the_answer(parcels: Parcels, asked: dict[str, np.ndarray]) -> None:
    predictor = load_predictor(parcels.bundle)
    frost, warmth = (predictor.predict({**asked, "temp": np.full(48, degrees)}) for degrees in (10.0, 60.0))
    assert frost.mean() > warmth.mean()


def test_features_see_nothing_that_a_caller_would_not_send(parcels: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delays lie in the same frame; `derive` never gets them."""
    from pipeline.data.read import read
    from pipeline.datasets import table

    given: list[set[str]] = []
    honest = table.derive
    monkeypatch.setattr(table, "derive", lambda columns: given.append(set(columns)) or honest(columns))
    read(parcels.config, parcels.folder)
    assert given == [set(parcels.config.request)]


# --- a table from its config alone ---------------------------------------------------------------------------------


def table(folder: Path, name: str, frame: pd.DataFrame, **more: Any) -> Path:
    """A CSV file, and a config that declares its columns: all but the last are features."""
    frame.to_csv(folder / f"{name}.csv", index=False)
    *features, _ = [str(column) for column in frame.columns]
    columns = {
        feature.replace(" ", "_"): {"kind": "number", "known": "before", "meaning": f"The {feature}", "source": feature}
        for feature in features
    }
    config = {
        "name": name,
        "dataset": "table",
        "columns": columns,
        "features": list(columns),
        "target": "target",
        "data": {"path": str(folder / f"{name}.csv")},
        "train": {"workers": 1, "resamples": 50},
        **more,
    }
    config["columns"]["target"] = {"known": "after", "meaning": "Outcome", **more["columns_of_target"]}
    del config["columns_of_target"]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


@pytest.fixture
def breast_cancer(tmp_path: Path) -> Path:
    """scikit-learn's breast cancer data."""
    return table(
        tmp_path,
        "cancer",
        load_breast_cancer(as_frame=True).frame,
        question="Is this tumour benign?",
        task="binary",
        columns_of_target={"kind": "boolean"},
        split={"by": "row", "holdout": 0.25, "folds": 3},
        candidates={"linear": {}, "boosting": {"min_samples_leaf": 10, "max_iter": 50}},
        costs={"miss": 1, "false_alarm": 1},
        gates={
            "holdout": {
                "roc_auc": {"low": 0.9, "high": 1},
                "log_loss": {"low": 0, "high": 0.3},
                "ece": {"low": 0, "high": 0.1},
            },
            "min_gain": 0.1,
            "champion": {"max_increase": 0.01},
            "slices": {"columns": [], "metrics": {}},
            "max_single_feature": 1.0,
        },
    )


@pytest.fixture
def diabetes(tmp_path: Path) -> Path:
    """scikit-learn's diabetes data: how far the disease has gone after a year, men and women as slices."""
    frame = load_diabetes(as_frame=True, scaled=False).frame
    frame["sex"] = frame["sex"].map({1.0: "one", 2.0: "other"})
    path = table(
        tmp_path,
        "diabetes",
        frame,
        question="How far will the disease have gone after a year?",
        task="regression",
        columns_of_target={"kind": "number", "unit": "points", "minimum": 0},
        split={"by": "row", "holdout": 0.25, "folds": 4},
        candidates={"linear": {"C": 1.0}, "tree": {"max_depth": 3, "min_samples_leaf": 20}, "perceptron": {}},
        gates={
            "holdout": {"mae": {"low": 30, "high": 55}, "r2": {"low": 0.2, "high": 0.7}},
            "min_gain": 5,
            "champion": {"max_increase": 0.5},
            "slices": {"columns": ["sex"], "min_rows": 30, "metrics": {"mae": {"low": 20, "high": 60}}},
            "max_single_feature": 0.8,
        },
    )
    sex = "columns.sex={kind: category, known: before, meaning: Sex, values: {one: One, other: Other}}"
    path.write_text(yaml.safe_dump(load(path, [sex]).model_dump(mode="json", exclude_defaults=True), sort_keys=False))
    return path


def test_breast_cancer_goes_through_the_whole_chain_without_a_line_of_code(breast_cancer: Path, tmp_path: Path) -> None:
    outcome = run(load(breast_cancer, in_folder(tmp_path)), Console(quiet=True))
    assert outcome.holdout["roc_auc"].value > 0.95
    predictor = load_predictor(tmp_path / "models" / "cancer")
    assert predictor.predict(predictor.golden.columns).shape == (64,)


def test_diabetes_goes_through_the_whole_chain(diabetes: Path, tmp_path: Path) -> None:
    """Its server answers in points."""
    outcome = run(load(diabetes, in_folder(tmp_path)), Console(quiet=True))
    assert outcome.bundle is not None
    manifest, record = (json.loads((outcome.bundle / f"{name}.json").read_text()) for name in ("bundle", "record"))
    assert set(manifest) == {"contract", "spread", "metrics", "files"}
    assert set(manifest["metrics"]) == {"mae", "rmse", "r2", "bias"}
    assert manifest["metrics"]["mae"]["low"] < manifest["metrics"]["mae"]["value"] < manifest["metrics"]["mae"]["high"]
    assert record["candidate"] == "linear"
    assert [part["value"] for part in record["slices"]] == ["one", "other"]
    predictor = load_predictor(outcome.bundle)
    with serving(outcome.bundle.parent) as client:
        answer = client.post("/predict", json=predictor.golden.rows[0]).raise_for_status().json()
        assert list(answer) == ["value", "unit", "model", "version", "request_id"]
        assert answer["value"] == pytest.approx(predictor.golden.predictions[0], rel=1e-6)
        assert answer["unit"] == "points"
        many = client.post("/predict/batch", json={"rows": predictor.golden.rows[:3]}).raise_for_status().json()
        assert many["predictions"][0] == {"value": answer["value"]}
        api = client.get("/openapi.json").json()["components"]["schemas"]
        assert set(api["RegressionResponse"]["properties"]) == set(answer)


def test_a_regression_that_is_worse_than_the_champion_is_refused(diabetes: Path, tmp_path: Path) -> None:
    alone = ["candidates.tree=null", "candidates.perceptron=null", "gates.holdout={mae: {low: 30, high: 60}}"]
    run(load(diabetes, [*in_folder(tmp_path), *alone]), Console(quiet=True))
    with pytest.raises(RefusedError, match=r"mae against the champion: \+\d"):
        run(load(diabetes, [*in_folder(tmp_path), *alone, "candidates.linear.C=0.0002"]), Console(quiet=True))


def test_patients_who_are_several_rows_are_never_on_both_sides(diabetes: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / "diabetes.csv")
    frame["age"] = (frame["age"] // 2).astype(int)
    frame.to_csv(tmp_path / "diabetes.csv", index=False)
    grouped = ["split={by: group, group: age, holdout: 0.3, folds: 3}", "columns.age.kind=integer"]
    overrides = [*in_folder(tmp_path), *grouped, "gates.holdout={mae: {low: 30, high: 60}}"]
    outcome = run(load(diabetes, overrides), Console(quiet=True))
    assert outcome.bundle is not None
    record = json.loads((outcome.bundle / "record.json").read_text())
    assert record["holdout"] == "30% of the groups"


def test_rows_that_break_the_contract_too_often_stop_the_training(breast_cancer: Path, tmp_path: Path) -> None:
    """The rejected rows are left to look at."""
    frame = pd.read_csv(tmp_path / "cancer.csv")
    frame.loc[:9, "mean radius"] = -1.0
    frame.to_csv(tmp_path / "cancer.csv", index=False)
    overrides = [*in_folder(tmp_path), "columns.mean_radius.minimum=0"]
    with pytest.raises(
        DataError, match=r"(?s)10 of 569 rows were rejected, .* mean_radius: below minimum 0 in 10 rows"
    ):
        run(load(breast_cancer, overrides), Console(quiet=True))
    assert len(pd.read_csv(tmp_path / "reports/cancer.failed/rejected.csv")) == 10
    assert not (tmp_path / "models/cancer/champion").exists()


@pytest.mark.parametrize("key", ["models", "reports"])
def test_a_folder_that_cannot_be_written_is_told_before_any_work(breast_cancer: Path, tmp_path: Path, key: str) -> None:
    (tmp_path / "file").touch()
    overrides = [*in_folder(tmp_path), f"paths.{key}={tmp_path}/file"]
    with pytest.raises(ConfigError, match=f"paths.{key}: .*file.* cannot be written"):
        run(load(breast_cancer, overrides), Console(quiet=True))


def test_a_model_that_is_no_better_than_the_base_rate_is_refused(breast_cancer: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / "cancer.csv")
    frame["target"] = np.random.default_rng(0).permutation(frame["target"])
    frame.to_csv(tmp_path / "cancer.csv", index=False)
    with pytest.raises(RefusedError, match="log_loss below the baseline's: by -"):
        run(load(breast_cancer, in_folder(tmp_path)), Console(quiet=True))
    assert not (tmp_path / "models/cancer/champion").exists()


def test_a_derived_feature_that_the_dataset_does_not_make_is_refused(breast_cancer: Path, tmp_path: Path) -> None:
    overrides = [*in_folder(tmp_path), "columns.mean_area.derived_from=[mean_radius]"]
    with pytest.raises(ConfigError, match="mean_area is not made by `derive` of the dataset table"):
        run(load(breast_cancer, overrides), Console(quiet=True))


def test_a_sampled_training_uses_whole_days(parcels: Parcels) -> None:
    from pipeline.data.read import read

    config = load(CONFIG, [*settings(parcels.folder), "data.sample=0.5"])
    rows = read(config, parcels.folder)
    days = blocks(rows.key)
    assert len(np.unique(days)) == pytest.approx(30, abs=2)
    assert len(rows.examples.target) == len(days)


def test_what_came_later_is_not_learnt_from(toy: Toy) -> None:
    """The toy's rows are of eight days; as of the seventh, six of them are left, and the last two judge."""
    outcome = toy.train("data.until=2013-01-07")
    assert outcome.bundle is not None
    record = json.loads((outcome.bundle / "record.json").read_text())
    assert record["holdout"] == "05 Jan 2013 to 06 Jan 2013"
    assert record["trained_on"] + record["holdout_rows"] == 3000
