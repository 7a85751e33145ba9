"""Read a YAML file as nested dicts: merge it over the file that it `extends`, apply overrides, record each key's line.

This module does not know the keys of a config; `pipeline.config.config` validates them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError

Key = tuple[str | int, ...]


def read(path: Path, places: dict[Key, str], chain: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a file into nested dicts. `places` is filled with the FILE:LINE of each key; `chain` has the files that
    extend this one.

    Raises ConfigError where the file is missing or unreadable, is not valid YAML, has a key twice or extends itself.
    """
    if path in chain:
        raise ConfigError(f"{path}: extends itself, by way of {' -> '.join(str(p) for p in chain)}")

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        nearby = ", ".join(str(p) for p in sorted(path.parent.glob("*.yaml"))) or "none"
        raise ConfigError(f"{path}: no such config file. Found beside it: {nearby}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a text file: {error}") from None

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = _separate(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2013-13-01 is a bare ValueError
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}: should hold keys and values, such as `name: flights`")

    here = dict(_walk(node, path, ()))
    base = tree.pop("extends", None)
    if base is None:
        places.update(here)
        return dict(tree)
    if not isinstance(base, str):
        raise ConfigError(f"{here[('extends',)]}: extends: should be the name of a config file, not {base!r}")

    merged = _merge(read(path.parent / base, places, (*chain, path)), tree)
    places.update(here)
    return merged


def _separate(value: Any) -> Any:
    """Copy a tree so that YAML aliases no longer share a dict: an override then changes only one of them."""
    if isinstance(value, dict):
        return {key: _separate(inner) for key, inner in value.items()}
    return value


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
    """Merge the tree `over` into `base`, key by key at every level. A value of null in `over` removes the key."""
    merged = {**base, **over}
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _merge(base[key], value)
    return {key: value for key, value in merged.items() if value is not None}


def override(tree: dict[str, Any], text: str, places: dict[Key, str]) -> None:
    """Set one key of the tree from the text of a `--set a.b=c` option, and record the option as its place.

    Raises ConfigError where the text is not KEY=VALUE, the value is not valid YAML, or a part of the key has a value.
    """
    key, equals, written = text.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {text}: should be a key, = and a value, such as --set train.seed=3")
    try:
        value = yaml.safe_load(written)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {text}: {written!r} is not a value: {error}") from None

    inner = tree
    for name in names[:-1]:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {text}: {name} holds a value, not further keys")
    inner[names[-1]] = value
    places[tuple(names)] = f"--set {text}"
