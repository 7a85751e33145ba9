import json
from pathlib import Path

import pytest

from pipeline.config.config import Config, load
from pipeline.config.durations import Duration
from pipeline.config.splits import TimeSplit
from pipeline.errors import ConfigError


def test_durations_and_costs_become_a_split_in_time_and_a_threshold(tiny_config: Config) -> None:
    assert isinstance(tiny_config.split, TimeSplit)
    assert tiny_config.split.holdout == Duration(2, "days")
    assert tiny_config.costs.threshold == 0.25


def test_a_config_takes_what_it_does_not_say_from_the_one_it_extends(tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("extends: tiny.yaml\nname: other\ncandidates: {boosting: {max_iter: 20}}\ncosts: {miss: 1}\n")
    base, config = load(tiny), load(other)
    assert (config.name, config.columns) == ("other", base.columns)
    assert (config.costs.miss, config.costs.false_alarm) == (1, 1)
    assert config.candidates.linear == base.candidates.linear
    assert config.candidates.boosting.max_iter == 20


def test_an_override_reaches_the_key_it_names(tiny: Path) -> None:
    assert load(tiny, ["train.seed=3", "split.test=none"]).train.seed == 3


def test_an_override_changes_one_of_the_columns_that_share_an_anchor(tmp_path: Path, tiny: Path) -> None:
    text = tiny.read_text().replace(
        "maximum: 10, nullable: true}", "maximum: 10, nullable: true, on_violation: &a {range: nullify}}"
    )
    tiny.write_text(
        text.replace("meaning: Known afterwards}", "meaning: Known afterwards, nullable: true, on_violation: *a}")
    )
    columns = load(tiny, ["columns.size.on_violation.range=reject"]).columns
    assert (columns["size"].on_violation, columns["later"].on_violation) == ({"range": "reject"}, {"range": "nullify"})


def test_a_config_cannot_be_changed_after_loading(tiny_config: Config) -> None:
    with pytest.raises(ValueError, match="frozen"):
        tiny_config.name = "other"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "train: {sed: 3}",
            r"tiny.yaml:26: train.sed: is not a key here. Did you mean seed\? Known: seed, workers",
        ),
        ("seeed: 3", r"tiny.yaml:26: seeed: is not a key here. Did you mean train.seed\?"),
        ("train: {seed: x}", r"tiny.yaml:26: train.seed: Input should be a valid integer; found 'x'"),
        ("train: {seed: -1}", r"train.seed: Input should be greater than or equal to 0; found -1"),
        ("data: {max_rejected: 2}", r"data.max_rejected: Input should be less than 1; found 2"),
    ],
)
def test_a_wrong_key_type_or_value_is_told_with_file_line_key_and_remedy(tiny: Path, line: str, said: str) -> None:
    tiny.write_text(tiny.read_text().rstrip() + f"\n{line}\n")
    with pytest.raises(ConfigError, match=said):
        load(tiny)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("features=[later]", "later is known only after the moment of prediction: it cannot be a feature"),
        ("features=[colours]", "colours is not a declared column. Did you mean colour?"),
        ("features=[size, size]", "listed twice: size"),
        ("features=[when]", "when is a date and time: derive a category or a number from it"),
        ("target=size", "target size of a binary task has to be a boolean that is known after"),
        ("columns.good.nullable=true", "the target good cannot be nullable"),
        (
            "columns.hour={kind: integer, known: before, meaning: Hour, derived_from: [minute]}",
            "minute, which is not a declared",
        ),
        ("columns.legs.derived_from=[hour]", "legs is derived from hour, which is derived itself"),
        ("split.holdout=99999999999 days", "should be a number and a unit"),
        ("costs.miss=.inf", "Input should be a finite number"),
        ("target=nothing", "nothing is not a declared column"),
        ("columns.size.minimum=11", "minimum 11 is not below maximum 10"),
        ("columns.colour.minimum=0", "minimum and maximum are for numbers, not for a category"),
        ("columns.size.pattern=a", "values and pattern are for a category, not for a number"),
        ("columns.colour.pattern='('", "is not a regular expression"),
        ("columns.legs.on_violation.range=nullify", "can be nullified only where nullable is true"),
        ("columns.hour.derived_from=[where]", "hour is derived from where, which is not a declared column"),
        ("columns.hour.derived_from=[later]", "hour is said to be known before, but is derived from later"),
        (
            "columns.mean radius={kind: number, known: before, meaning: Radius}",
            "rename it and say `source: mean radius`",
        ),
        (
            "columns.copy={kind: number, known: before, meaning: Copy}",
            "copy means something else to pydantic: rename it",
        ),
        ("columns.size.minimum=.nan", "Input should be a finite number"),
        ("split.time=size", "size is not a declared datetime column"),
        ("split.holdout=2 monts", "should be a number and a unit, such as 2 months, 3 weeks or 14 days"),
        ("split.foldlength=2 days", "Did you mean fold_length?"),
        ("split.by=moon", "does not match any of the expected tags: 'time', 'group', 'row'"),
        ("search={kinds: {trees: {trials: 2}}}", "trees is no kind of model"),
        ("gates.slices.columns=[size]", "size is not a category that a caller sends"),
        ("columns.colour.private=true", "slices.columns: colour is private, and its values would stand in cards"),
        (
            "gates.holdout.mae={low: 1, high: 2}",
            "holdout: mae is no metric of a binary task. Known: roc_auc, average_precision, log_loss",
        ),
        ("gates.slices.metrics.r2={low: 0, high: 1}", "slices.metrics: r2 is no metric of a binary task"),
        ("gates.holdout.ece={low: 0.1, high: 0}", "low 0.1 is not below high 0"),
        ("gates.max_export_error=0.1", "Input should be less than or equal to 0.0001"),
        ("gates.champion=null", "gates.champion: Input should be"),
        ("data.key=[size]", "key: size is not a declared column of the data that is never missing"),
        ("data.until=soon", "data.until: Input should be a valid date"),
        ("data.key=[hour]", "key: hour is not a declared column of the data"),
        ("split={by: group, group: size, holdout: 0.2}", "group: size is not a declared category or integer"),
        ("split={by: group, group: moon, holdout: 0.2}", "group: moon is not a declared category or integer"),
        ("train.clip={low: 0, high: 1}", "clip: is for a regression"),
        ("class_costs={left: {stayed: 2}}", "class_costs: are for a multiclass task"),
        ("costs=null", "are missing: what a miss costs against a false alarm decides the threshold"),
        ("task=regression", "the target good of a regression task has to be a number or an integer"),
        ("gates=null", "gates: Input should be a valid dictionary"),
        ("candidates.linear.c=3", "Did you mean C?"),
        ("costs.miss=null", "costs.miss: Input should be a valid number; found None"),
        ("train.seed", "should be a key, = and a value, such as --set train.seed=3"),
        ("train.seed=[", "is not a value"),
        ("name.first=3", "name holds a value, not further keys"),
    ],
)
def test_a_config_that_cannot_be_is_refused_with_its_reason(tiny: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tiny, [override])
    assert said in str(refused.value)


def test_an_end_of_the_data_is_for_rows_that_have_a_time(tiny: Path) -> None:
    assert str(load(tiny, ["data.until=2013-01-05"]).data.until) == "2013-01-05"
    with pytest.raises(ConfigError, match="data.until is for a split by time"):
        load(tiny, ["data.until=2013-01-05", "split={by: row, holdout: 0.2}"])


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("columns.size={}", "columns.size.known: is missing; before or after"),
        ("split={}", "split.by: is missing; group, row or time"),
        (
            "split={by: time, time: when}",
            "split.holdout: is missing: length of the holdout, at the end, such as 2 months",
        ),
        ("costs={miss: 1}", "costs.false_alarm: is missing: cost of a warning for a negative row"),
        ("columns.good.positive=[yes]", "YAML reads yes, no, on and off as true and false, so put it into quotes"),
    ],
)
def test_a_part_that_is_missing_is_named_with_its_values(tiny: Path, override: str, advice: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tiny, [override])
    assert advice in str(refused.value)


def test_a_section_that_is_missing_is_named_with_its_keys(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("{}")
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "empty.yaml")
    lines = str(refused.value).replace(f"{tmp_path}/empty.yaml: ", "").splitlines()
    assert {
        "task: is missing; binary, multiclass or regression",
        "target: is missing: the column to predict; it is known only after the prediction",
        "columns: is missing: every column of the data and every feature, by name (each with kind, known, meaning)",
        "features: is missing: the model's inputs, in order",
        "split: is missing: how rows become folds and a holdout: by time, group or row",
    } <= set(lines)


def test_every_fault_is_told_at_once(tiny: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tiny, ["train.seed=x", "costs.miss=0", "split.folds=0"])
    assert len(str(refused.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not valid YAML"),
        ("a:\n  b: 1\n c: 2", "is not valid YAML: line 3: .* Keys of one section begin in the same column"),
        ("day: 2013-13-01", "is not valid YAML"),
        ("- a", "should hold keys and values"),
        ("name: a\nname: b", "broken.yaml:2: name is there twice, also on line 1"),
        ("name: &a {b: *a}", "is not valid YAML"),
        ("extends: [a]", "broken.yaml:1: extends: should be the name of a config file"),
        ("extends: broken.yaml", "extends itself"),
        (
            "extends: gone.yaml",
            "extends .*gone.yaml, relative to its own folder: no such config file. Found .*broken.yaml",
        ),
        ("extends: ../{folder}/broken.yaml", "extends itself"),
        ("{}", "name: is missing"),
    ],
)
def test_a_file_that_is_no_config_is_told_so(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "broken.yaml").write_text(text.replace("{folder}", tmp_path.name))
    with pytest.raises(ConfigError, match=said):
        load(tmp_path / "broken.yaml")


def test_a_file_that_is_not_text_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as a text file"):
        load(tmp_path / "picture.yaml")


def test_the_json_schema_of_a_config_describes_every_section() -> None:
    assert set(json.loads(json.dumps(Config.model_json_schema()))["properties"]) == set(Config.model_fields)


def test_null_in_a_file_removes_what_the_file_below_says(tiny: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text(
        "extends: tiny.yaml\ntask: regression\ntarget: later\ncosts: null\n"
        "gates: {holdout: {roc_auc: null, log_loss: null, ece: null, mae: {low: 0, high: 1}}, "
        "slices: {metrics: {roc_auc: null}}}\n"
    )
    config = load(over)
    assert (list(config.gates.holdout), config.gates.slices.metrics, config.scoring) == (
        ["mae"],
        {},
        ("regression", None, (), ()),
    )
    with pytest.raises(ConfigError, match="costs: are for a binary task"):
        load(over, ["costs={miss: 1, false_alarm: 1}"])


def test_the_usual_word_for_a_binary_task_is_answered_with_ours(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="task: classification is called binary here"):
        load(tiny, ["task=classification"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{nope} of {colour} ones", "{nope} has no value"),
        ("{share} of {shape} ones", "{shape} has no value"),
        ("{} of them", "{} has no value"),
        ("{share:>999999999}", "{share:>999999999} has no value"),
        ("{share!r} of them", "{share!r} has no value"),
        ("{colour.__class__} ones", "{colour.__class__} has no value"),
        ("{share of them", "expected '}' before end of string"),
    ],
)
def test_a_placeholder_without_a_value_is_named_with_the_others(tiny: Path, text: str, fault: str) -> None:
    """Otherwise the first page or explanation with this sentence would fail."""
    rule = {"by": ["colour"], "days": 2, "weight": 2, "text": text}
    with pytest.raises(ConfigError) as refused:
        load(tiny, [f"columns.size.rolling={json.dumps(rule)}"])
    message = str(refused.value)
    assert f"columns.size.rolling.text: {fault}" in message
    assert "{share}, {mean}, {colour} may stand in it" in message
