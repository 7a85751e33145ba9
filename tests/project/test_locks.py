"""The locks are whole: they pin everything by hash, and nothing that a locked package needs is missing from them."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import NamedTuple

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

LOCKS = sorted(path.stem for path in (ROOT / "requirements").glob("*.txt"))
PROMISED = [
    {"sys_platform": system, "platform_system": name, "platform_machine": machine, "os_name": "posix",
     "implementation_name": "cpython", "platform_python_implementation": "CPython",
     "python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
    for system, name, machine in (("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64"))
    for minor in (11, 12, 13, 14)
]  # fmt: skip

WITH_EXTRAS = {
    "jsonschema",
    "markdown-it-py",
    "pydantic",
    "uvicorn",
}  # with an extra in some locks, so what they bring there differs


class Pin(NamedTuple):
    """A locked package; `parents` are those for which the resolver took it, as its `# via` says."""

    name: str
    version: str
    marker: Marker | None
    parents: frozenset[str]

    def wanted(self, environment: dict[str, str]) -> bool:
        return self.marker is None or self.marker.evaluate(environment)


@cache
def pins(lock: str) -> list[Pin]:
    return read((ROOT / f"requirements/{lock}.txt").read_text())


def read(text: str) -> list[Pin]:
    found = []
    for block in re.split(r"\n(?=[^\s#])", text.strip()):
        requirement = Requirement(block.split("\\")[0].strip())
        via = block.partition("# via")[2].replace("#", " ").split()
        parents = frozenset(canonicalize_name(name.partition("[")[0]) for name in via if re.match(r"[\w.-]+$", name))
        version = str(next(iter(requirement.specifier)).version)
        found.append(Pin(canonicalize_name(requirement.name), version, requirement.marker, parents))
    return found


@cache
def installed(name: str, version: str) -> list[Requirement] | None:
    """What a package needs by its own metadata, where this very version is installed here."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return [Requirement(text) for text in found.requires or []] if found.version == version else None


def missing(lock: list[Pin]) -> Iterator[str]:
    """What locked packages need by their metadata and the lock does not hold, in any promised environment."""
    for promised in PROMISED:
        environment = {**default_environment(), **promised}
        present = {pin.name: pin.version for pin in lock if pin.wanted(environment)}
        left = [(name, "") for name in present]
        done: set[tuple[str, str]] = set()
        while left:
            name, extra = left.pop()
            if (name, extra) in done or name not in present:
                continue
            done.add((name, extra))
            for need in installed(name, present[name]) or []:
                if need.marker and not need.marker.evaluate({**environment, "extra": extra}):
                    continue
                child = canonicalize_name(need.name)
                if child not in present or not need.specifier.contains(present[child], prereleases=True):
                    where = f"{promised['sys_platform']} {promised['platform_machine']} {promised['python_version']}"
                    yield f"{name} needs {need}, on {where}"
                left += [(child, wanted) for wanted in need.extras]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_its_packages_need(lock: str) -> None:
    """By the metadata of what is installed here; `--no-deps` would leave out whatever is missing."""
    assert list(missing(pins(lock))) == []


def test_the_development_lock_is_proven_by_metadata() -> None:
    """What the test above can see: every package of the largest lock that this Python and system install."""
    here = default_environment()
    unseen = [pin.name for pin in pins("dev") if pin.wanted(here) and installed(pin.name, pin.version) is None]
    assert unseen == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_the_resolver_took_for_its_packages(lock: str) -> None:
    """What another lock holds because of a package that is in both, at one version, is in both too."""
    mine = {pin.name: pin.version for pin in pins(lock)}
    for other in LOCKS:
        versions = {pin.name: pin.version for pin in pins(other)}
        for pin in pins(other):
            shared = {name for name in pin.parents - WITH_EXTRAS if mine.get(name, "") == versions.get(name)}
            assert not shared or pin.name in mine, f"{pin.name}, which {shared} needs by requirements/{other}.txt"


def test_a_package_taken_out_of_a_lock_is_missed() -> None:
    """Coverage is asked for with an extra: what pip before 23.3 stumbled over."""
    for name, parent in (("coverage", "pytest-cov"), ("starlette", "fastapi"), ("mako", "alembic")):
        less = [pin for pin in pins("dev") if pin.name != name]
        found = [line.lower() for line in missing(less)]
        assert any(line.startswith(f"{parent} needs {name}") for line in found), name


def test_locks_name_no_package_index_and_pin_every_package_with_hashes() -> None:
    for lock in LOCKS:
        text = (ROOT / f"requirements/{lock}.txt").read_text()
        assert "://" not in text
        for block in re.split(r"\n(?=\S)", text.strip()):
            assert block.startswith("#") or re.match(r"[a-zA-Z0-9_.\[\]-]+==\S+", block), block
            assert block.startswith("#") or "--hash=sha256:" in block, block


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = [line for group in project["dependency-groups"].values() for line in group if isinstance(line, str)]
    declared += [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["signed"]]
    locked = {pin.name for lock in LOCKS for pin in pins(lock)}
    for line in declared:
        assert canonicalize_name(Requirement(line).name) in locked, f"{line} is in no lock: run make lock"


def test_every_lock_is_part_of_one_resolution() -> None:
    def versions(lock: str) -> set[tuple[str, str]]:
        return {(pin.name, pin.version) for pin in pins(lock)}

    for name in ("serve", "train", "lint", "build"):
        assert versions(name) <= versions("dev")
    assert versions("dev") <= versions("mutation")
    assert versions("serve") <= versions("train")
