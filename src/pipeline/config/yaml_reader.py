"""Read a YAML file as nested dicts: merge it over the file that it `extends`, apply overrides, record each key's line.

This module does not know the keys of a config; `pipeline.config.config` validates them.
"""

import os
from collections.abc import Iterator
from itertools import chain as chained
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError

Key = tuple[str | int, ...]
MOST_NODES = 100_000  # keys and values of one text, with those of its aliases
LAYOUT = "Keys of one section begin in the same column, after blanks; a text with `: ` or ` #` stands in quotes"
MISTAGGED = (TypeError, LookupError, AttributeError)  # what PyYAML raises for !!bool maybe and the like


class Replacement(dict[Any, Any]):
    """A section tagged `!replace`: it takes nothing from the file that its own extends."""


class Loader(yaml.SafeLoader):
    """YAML's plain types, and `!replace`."""


def _replacement(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Replacement:
    return Replacement(loader.construct_mapping(node, deep=True))


Loader.add_constructor("!replace", _replacement)


def read(path: Path, chain: tuple[Path, ...] = ()) -> tuple[dict[str, Any], dict[Key, str]]:
    """Read a file into nested dicts, and the FILE:LINE of each key. `chain` has the files that extend this one.

    Raises ConfigError where the file is missing or unreadable, is not valid YAML, has a key twice or extends itself.
    """
    if path in chain:
        raise ConfigError(f"{path}: extends itself, by way of {' -> '.join(map(str, chain))}")

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(_absent(path, chain)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a text file: {error}") from None

    try:
        node, value = parse(text)
    except ValueError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}: should hold keys and values, such as `name: flights`")

    here = dict(_walk(node, path, ()))
    base = value.pop("extends", None)
    if base is None:
        return value, here
    if not isinstance(base, str):
        raise ConfigError(f"{here[('extends',)]}: extends: should be the name of a config file, not {base!r}")

    base_path = Path(os.path.normpath(path.parent / base))
    inherited, places = read(base_path, (*chain, path))
    merged = _merge(inherited, value)
    return merged, {key: place for key, place in places.items() if _holds(merged, key)} | here


def _holds(tree: Any, key: Key) -> bool:
    """Whether the tree has the key: neither null nor `!replace` has removed it."""
    for name in key:
        if not isinstance(tree, dict) or name not in tree:
            return False
        tree = tree[name]
    return True


def _absent(path: Path, chain: tuple[Path, ...]) -> str:
    """The message for a missing file, with the configs beside it, or beside the file that extends it."""
    folder = chain[-1].parent if chain else path.parent
    nearby = ", ".join(str(p) for p in sorted(folder.glob("*.yaml"))) or "none"
    asked = f"{chain[-1]}: extends {path}, relative to its own folder: " if chain else f"{path}: "
    return f"{asked}no such config file. Found beside it: {nearby}"


def parse(text: str) -> tuple[yaml.Node | None, Any]:
    """Parse a text as YAML. Return its root node, where aliases share nodes, and its value.

    Raises ValueError, with the reason, for a text that is not valid, or too large with its aliases written out.
    """
    try:
        node = yaml.compose(text, Loader=Loader)
        if node is not None and _count(node, {}) > MOST_NODES:
            raise ValueError(f"it holds more than {MOST_NODES:,} keys and values, with those of its aliases")
        return node, yaml.load(text, Loader=Loader)  # noqa: S506 -- reason: it is a SafeLoader
    except RecursionError:
        raise ValueError("it is nested too deeply, or within itself") from None
    except MISTAGGED:
        raise ValueError("a value does not fit its tag, such as !!int or !!bool: remove the tag") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem}. {LAYOUT}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _count(node: yaml.Node, counts: dict[int, int]) -> int:
    """Count a node and those below it, once for every alias, without writing the aliases out.

    `counts` has the nodes that are counted already, by identity.
    """
    if id(node) not in counts:
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            inner = chained.from_iterable(inner)
        counts[id(node)] = 1 + sum(_count(below, counts) for below in inner)
    return counts[id(node)]


def _walk(node: yaml.MappingNode, path: Path, at: Key) -> Iterator[tuple[Key, str]]:
    """Yield every key of the file with its FILE:LINE.

    Raises ConfigError for a key that stands twice, because YAML would drop the first.
    """
    lines: dict[Any, int] = {}
    for key, value in node.value:
        name = key.value
        line = key.start_mark.line + 1
        if name in lines:
            raise ConfigError(f"{path}:{line}: {name} is there twice, also on line {lines[name]}. Remove one")
        lines[name] = line

        yield (*at, name), f"{path}:{line}"
        if isinstance(value, yaml.MappingNode):
            yield from _walk(value, path, (*at, name))


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge the tree `over` into `base`, key by key at every level.

    In `over`, null removes a key, and a section tagged `!replace` is not merged.
    """
    merged = {**base, **over}
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict) and not isinstance(value, Replacement):
            merged[key] = _merge(base[key], value)
    return {key: value for key, value in merged.items() if value is not None}


def override(tree: dict[str, Any], text: str, places: dict[Key, str]) -> dict[str, Any]:
    """The tree with one key set from the text of a `--set a.b=c` option, which is recorded as its place.

    Raises ConfigError where the text is not KEY=VALUE, the value is not valid YAML, or a part of the key has a value.
    """
    key, equals, written = text.partition("=")
    names = key.strip().split(".")
    text = text[:100]
    if not equals or not all(names):
        raise ConfigError(f"--set {text}: should be a key, = and a value, such as --set train.seed=3")
    try:
        value = parse(written)[1]
    except ValueError as error:
        raise ConfigError(f"--set {text}: {written[:100]!r} is not a value: {error}") from None

    inner = tree = dict(tree)
    for name in names[:-1]:
        section = inner.get(name, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {text}: {name} holds a value, not further keys")
        inner[name] = dict(section)  # YAML aliases share a section: the others keep it as it is
        inner = inner[name]
    inner[names[-1]] = value
    places[tuple(names)] = f"--set {text}"
    return tree
