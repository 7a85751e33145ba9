"""Faults of a config in words: where each is, what is wrong, and what may stand there, from the schema of a config.

This module does not know the keys: it reads them from the JSON schema.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from pipeline.config.yaml_reader import Key

Schema = dict[str, Any]


def explain(faults: Sequence[ErrorDetails], schema: Schema, places: Mapping[Key, str], path: Path) -> Iterator[str]:
    """Yield one line for each fault, with the place of the key or of the nearest section above it.

    A last line has what to do about keys of a file that this one extends.
    """
    inherited: set[str] = set()
    for fault in faults:
        key, advice = key_and_advice(fault, schema, places)
        place = next((places[key[:n]] for n in range(len(key), 0, -1) if key[:n] in places), str(path))
        yield f"{place}: {'.'.join(map(str, key))}: {advice}"
        if not f"{place}:".startswith(("--set ", f"{path}:")):  # another file than this one
            inherited.add(place.rpartition(":")[0])

    if inherited:
        yield (
            f"{path} extends {', '.join(sorted(inherited))}: write such a key here too, or null to remove it; a "
            "section tagged !replace, as in `split: !replace {…}`, takes nothing from there"
        )


def key_and_advice(fault: ErrorDetails, schema: Schema, places: Mapping[Key, str]) -> tuple[Key, str]:
    """The key that a fault is about, as a person wrote it, and what is wrong with it."""
    loc = fault["loc"]
    key = (loc[0], *loc[2:]) if loc[:1] == ("split",) else loc  # pydantic inserts the kind of split
    if fault["type"] == "union_tag_not_found":
        key = (*loc, "by")

    advice = advice_for(fault, schema)
    inner, _, rest = advice.partition(": ")
    named = (*key, *inner.split("."))  # our own validators name the key within a section
    return (named, rest) if named in places else (key, advice)


def advice_for(fault: ErrorDetails, schema: Schema) -> str:
    """Say what is wrong with a key and, for an unknown or missing key, which key or value was probably meant."""
    loc = fault["loc"]
    if fault["type"] == "union_tag_not_found":
        return f"is missing; {alternatives(section_at(loc, schema)['discriminator']['mapping'])}"
    if fault["type"] == "missing":
        return f"is missing{expected_at(loc, schema)}"
    if loc == ("task",) and fault["input"] == "classification":
        return "classification is called binary here, or multiclass for three classes or more"

    if fault["type"] == "extra_forbidden":
        here = list(keys_at(loc[:-1], schema))
        near = nearest(str(loc[-1]), here) or nearest(str(loc[-1]), keys_of_sections(schema))
        question = f"Did you mean {near}? " if near else ""
        return f"is not a key here. {question}Known: {', '.join(here)}"

    text = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "string_type" and isinstance(fault["input"], bool):
        text += ": YAML reads yes, no, on and off as true and false, so put it into quotes"
    names_its_part = isinstance(fault["input"], list) and fault["type"] == "value_error"
    return text if isinstance(fault["input"], dict) or names_its_part else f"{text}; found {repr(fault['input'])[:200]}"


def expected_at(loc: Key, schema: Schema) -> str:
    """Say what may stand at a key that is missing: its values, or its meaning with the keys of a section."""
    node = keys_at(loc[:-1], schema).get(str(loc[-1]), {})
    if "enum" in node:
        return f"; {alternatives(node['enum'])}"

    section = section_at(loc, schema)
    keys = alternatives(section.get("properties", []))
    if "additionalProperties" in section:
        entry = section_at((*loc, "NAME"), schema)
        keys = f"each with {', '.join(entry.get('required', []))}" if entry else keys
    meaning = node["description"].rstrip(".")
    return f": {meaning[0].lower()}{meaning[1:]}" + (f" ({keys})" if keys else "")


def alternatives(values: Iterable[str]) -> str:
    *others, last = [*values] or [""]
    return f"{', '.join(others)} or {last}" if others else last


def keys_of_sections(schema: Schema) -> list[str]:
    """List the keys of every section, as SECTION.KEY."""
    keys: list[str] = []
    for section in keys_at((), schema):
        keys += [f"{section}.{key}" for key in keys_at((section,), schema)]
    return keys


def nearest(name: str, keys: Sequence[str]) -> str | None:
    """Return the key whose last part is most similar to the name, or None without a similar one."""
    last_parts = {key.rpartition(".")[2].lower(): key for key in reversed(keys)}
    near = difflib.get_close_matches(name.lower(), last_parts, n=1, cutoff=0.5)
    return last_parts[near[0]] if near else None


def keys_at(loc: Key, schema: Schema) -> Schema:
    """Return the keys that are allowed at `loc`, each with its schema."""
    keys: Schema = section_at(loc, schema).get("properties", {})
    return keys


def section_at(loc: Key, schema: Schema) -> Schema:
    """Return the schema of what stands at `loc` in a config."""
    node = schema
    for part in loc:
        if "discriminator" in node:
            node = {"$ref": node["discriminator"]["mapping"][part]}
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        node = next((choice for choice in node.get("anyOf", []) if "$ref" in choice), node)
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node
