"""Texts that are small and mean much: refused before they are written out."""

import tracemalloc
from pathlib import Path

import pytest

from pipeline.config.yaml_reader import MOST_NODES, override, parse, read
from pipeline.errors import ConfigError

LEVELS = 9


def bomb(first: str, level: str) -> str:
    """Ten values, and nine levels that have ten aliases each of the one before: ten billion."""
    lines = [f"a0: &a0 {first}"]
    for number in range(1, LEVELS + 1):
        aliases = ",".join([f"*a{number - 1}"] * 10)
        lines.append(f"a{number}: &a{number} {level.replace('ALIASES', aliases)}")
    return "\n".join(lines)


LISTS = bomb("[x, x, x, x, x, x, x, x, x, x]", "[ALIASES]")
MERGES = bomb("{x: 1}", "{<<: [ALIASES]}")


@pytest.mark.parametrize("text", [LISTS, MERGES], ids=["lists", "merges"])
def test_aliases_of_aliases_are_refused_before_they_are_written_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "bomb.yaml").write_text(text)
    tracemalloc.start()
    with pytest.raises(ConfigError, match=f"bomb.yaml: is not valid YAML: it holds more than {MOST_NODES:,} keys"):
        read(tmp_path / "bomb.yaml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_an_override_is_bounded_like_a_file() -> None:
    flow = "{" + LISTS.replace("\n", ", ") + "}"
    with pytest.raises(ConfigError, match="is not a value: it holds more than") as refused:
        override({}, f"features={flow}", {})
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "- " * 50_000, "{a: " * 5_000, "&a [*a]"])
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply, or within itself"):
        parse(text)


@pytest.mark.parametrize("text", ["!!bool maybe", "!!timestamp maybe", "!!int ''"])
def test_a_value_that_does_not_fit_its_tag_is_told_so(text: str) -> None:
    with pytest.raises(ValueError, match="does not fit its tag"):
        parse(text)


def test_aliases_in_reason_are_read() -> None:
    assert parse("a: &a {x: [1, 2]}\nb: *a\nc: {<<: *a, y: 3}")[1] == {
        "a": {"x": [1, 2]},
        "b": {"x": [1, 2]},
        "c": {"x": [1, 2], "y": 3},
    }


def test_a_section_alone_can_replace() -> None:
    assert parse("!replace {a: 1}")[1] == {"a": 1}
    with pytest.raises(ValueError, match="expected a mapping node"):
        parse("!replace 3")
