"""A YAML file as a tree of plain values: what it `extends` lies below it, overrides on top, and the line of every key
is kept.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError

Key = tuple[str | int, ...]


def read(path: Path, places: dict[Key, str], seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The file's tree; `places` is told where each key stands, as FILE:LINE. Raises ConfigError with what to mend."""
    if path in seen:
        raise ConfigError(f"{path}: extends itself, by way of {' -> '.join(str(p) for p in seen)}")
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
    merged = _merge(read(path.parent / base, places, (*seen, path)), tree)
    places.update(here)
    return merged


def _separate(value: Any) -> Any:
    """A copy in which what several aliases share is there once for each, so that an override changes one of them."""
    return {key: _separate(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def _walk(node: yaml.MappingNode, path: Path, at: Key) -> Iterator[tuple[Key, str]]:
    """Every key of the file with its line. A key that stands twice is an error: YAML would drop the first."""
    lines: dict[Any, int] = {}
    for key, value in node.value:
        name, line = key.value, key.start_mark.line + 1
        if name in lines:
            raise ConfigError(f"{path}:{line}: {name} stands twice; it is also on line {lines[name]}. Remove one")
        lines[name] = line
        yield (*at, name), f"{path}:{line}"
        if isinstance(value, yaml.MappingNode):
            yield from _walk(value, path, (*at, name))


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """One tree over another, key by key, however deep; null removes what lies below."""
    both = {k: _merge(base[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {key: value for key, value in {**base, **over, **both}.items() if value is not None}


def override(tree: dict[str, Any], text: str, places: dict[Key, str]) -> None:
    """Set one key of the tree, as `--set a.b=c` says."""
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
