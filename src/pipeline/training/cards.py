"""The model card and the data card of a bundle, in Markdown, made from the bundle's other files.

The templates beside this module hold the sentences. Every value is escaped as it enters them, so that a value of the
data or of the config is text and never markup.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.config.card import Card
from pipeline.evaluation.metrics import DECISIVE
from pipeline.runtime import bundle_store
from pipeline.runtime.contract import Contract
from pipeline.runtime.predictor import Manifest, known_values

TEMPLATES = {"MODEL_CARD.md": "model_card.md", "DATA_CARD.md": "data_card.md"}
MARKUP = re.compile(r"[\\`*\[\]<>|&~#!]|(?<![^\W_])_|_(?![^\W_])")  # an underscore within a word means nothing


def cards(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Write both cards. `files` are the bundle's, with `bundle.json`, `record.json` and `reference.json`."""
    manifest = Manifest.model_validate_json(files["bundle.json"])
    record = json.loads(files["record.json"])
    reference = json.loads(files["reference.json"])
    contract = manifest.contract
    declared = {name: (record["card"].get(name) or "").strip() for name in Card.model_fields}
    facts = {
        "card": {name: text or f"not declared (card.{name} in the config)" for name, text in declared.items()},
        "manifest": manifest,
        "contract": contract,
        "record": record,
        "reference": reference,
        "version": bundle_store.digest(files["bundle.json"]),
        "shown": [*DECISIVE[contract.task], "bias" if contract.task == "regression" else "ece"],
        "names": known_values(reference, contract),
        "roles": {name: role(name, contract) for name in contract.columns},
        "values": {name: value_text(name, contract, reference) for name in contract.columns},
    }

    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    loader = FileSystemLoader(Path(__file__).parent)
    templates = Environment(  # noqa: S701 -- reason: autoescape is for HTML; in this Markdown `plain` escapes every value
        loader=loader, undefined=StrictUndefined, finalize=plain, **options
    )
    return {name: templates.get_template(file).render(facts).encode() for name, file in TEMPLATES.items()}


def are_outdated(bundle: Path, declared: Mapping[str, str], documents: Iterable[str]) -> bool:
    """Whether a bundle was written with other declarations or by an older version, or lacks one of the documents.

    False where it is absent or damaged: it is written anew.
    """
    if bundle_store.damage(bundle):
        return False
    if not all((bundle / name).exists() for name in documents):
        return True
    record = json.loads((bundle / "record.json").read_bytes())
    return "train_rows" not in record or record.get("card") != declared


def plain(value: Any) -> str:
    """Format a value as one line of Markdown that shows exactly this value. None is a dash."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    printable = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return MARKUP.sub(r"\\\g<0>", " ".join(printable.split()))


def role(name: str, contract: Contract) -> str:
    """Say how the model uses a column. The role of a column that it does not see begins with `left out`."""
    column = contract.columns[name]
    if name == contract.target:
        return "outcome"
    if name in contract.features:
        return "feature, looked up where left out" if column.rolling else "feature"
    if name in contract.request:
        return "sent, for other features or for the time"
    return f"left out: {'known only after the prediction' if column.known == 'after' else 'not among the features'}"


def value_text(name: str, contract: Contract, reference: Mapping[str, Any]) -> str | None:
    """Describe the values of a column in the training rows. None for a private column and one that it lacks."""
    is_target = name == contract.target
    profile = reference["target"] if is_target else reference["columns"].get(name)
    if profile is None or contract.columns[name].private:
        return None
    if is_target and contract.task != "regression":
        return ", ".join(contract.classes) or f"{profile['mean']:.1%} yes"
    if "first" in profile:
        return f"{profile['first']} to {profile['last']}"
    if "values" in profile:
        common = sorted(profile["values"], key=profile["values"].get, reverse=True)
        return f"{len(common):,} values, most often {', '.join(common[:3])}"

    quantiles = profile["quantiles"]  # the second is that of 1 %, the last but one that of 99 %
    return f"{quantiles[1]:g} to {quantiles[-2]:g}, median {quantiles[len(quantiles) // 2]:g}" if quantiles else None
