"""The keys of a config, with types, defaults and meanings, as tables: from the schema into docs/configuration.md."""

from pathlib import Path
from typing import Any

from pipeline.candidates.kind import KINDS
from pipeline.config.config import Config

PAGE = Path(__file__).parent / "configuration.md"
# The sections in the order in which a person writes them: what stands in the file, and the model behind it.
SECTIONS = {
    "the top level": "Config",
    "columns.NAME": "Column",
    "columns.NAME.rolling": "RollingRule",
    "timing": "Timing",
    "data": "Data",
    "split, with `by: time`": "TimeSplit",
    "split, with `by: group`": "GroupSplit",
    "split, with `by: row`": "RowSplit",
    "candidates": "Candidates",
    **{f"candidates.{name}": kind.__name__ for name, kind in KINDS.items()},
    "search": "Search",
    "search.kinds.KIND": "Trials",
    "search.kinds.KIND.space.SETTING": "Range",
    "costs": "Costs",
    "gates": "Gates",
    "gates.holdout.METRIC and other limits": "Bounds",
    "gates.champion": "AgainstChampion",
    "gates.slices": "SliceRule",
    "retrain": "Retrain",
    "monitor": "Monitor",
    "masking": "Masking",
    "replay": "Replay",
    "train": "Train",
    "card": "Card",
    "paths": "Paths",
}


def tables() -> str:
    """One table for each section."""
    schema = Config.model_json_schema()
    models = {"Config": schema, **schema["$defs"]}
    parts = []
    for section, name in SECTIONS.items():
        title = section if "`" in section or section == "the top level" else f"`{section}`"
        rows = [row(key, node, models[name]) for key, node in models[name]["properties"].items()]
        parts.append("\n".join([f"### {title}", "", "| key | value | default | meaning |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts)


def row(key: str, node: dict[str, Any], model: dict[str, Any]) -> str:
    """The row of one key."""
    if key in model.get("required", []):
        default = "required"
    elif isinstance(node.get("default"), dict) and node["default"]:
        default = "as below"
    else:
        default = f"`{plain(node.get('default'))}`"
    return f"| `{key}` | {kind(node)} | {default} | {node.get('description', '')} |"


def plain(value: Any) -> str:
    """A value as YAML writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def kind(node: dict[str, Any]) -> str:
    """The values that a key accepts, in a word or two."""
    if "$ref" in node or "discriminator" in node:
        return "a section"

    if "anyOf" in node:
        kinds = [kind(option) for option in node["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"

    if node["type"] == "array":
        return f"list of {kind(node['items'])}s"
    if node["type"] == "object":
        return "a section"
    return str({"string": "text", "boolean": "`true` or `false`"}.get(node["type"], node["type"]))


def undescribed() -> list[str]:
    """The keys that have no description."""
    schema = Config.model_json_schema()
    models = {"Config": schema, **schema["$defs"]}
    missing = []
    for section, name in SECTIONS.items():
        for key, node in models[name]["properties"].items():
            if not node.get("description") and "$ref" not in node:
                missing.append(f"{section}: {key}")
    return missing
