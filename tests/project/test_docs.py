"""The pages of docs/ name only what there is, and all of it."""

import re
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.config.config import load
from pipeline.monitoring import monitor
from serve.settings import variables
from tests.project.conftest import module_of
from tests.support import ROOT
from tests.support.pages import TARGETS, broken_links, named_targets, page, part, tree

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))


def test_the_page_of_commands_names_every_target() -> None:
    assert named_targets(page("docs/commands.md")) == TARGETS - {"help"}


@pytest.mark.parametrize("name", PAGES)
def test_every_target_that_a_page_names_exists(name: str) -> None:
    assert named_targets(page(name)) <= TARGETS


@pytest.mark.parametrize("name", PAGES)
def test_every_link_inside_the_repository_leads_somewhere(name: str) -> None:
    assert broken_links(name) == []


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """README is its front page."""
    listed = re.findall(r"(\S+\.md)$", page("docs/site/mkdocs.yml"), re.MULTILINE)
    assert sorted(f"docs/{name}" for name in listed) == sorted([*PAGES, "docs/index.md"])


def test_the_architecture_lists_every_module() -> None:
    """A dataset's own module and config belong to whoever adds them, or takes them away."""
    listed = tree(page("docs/architecture.md"), "## Every file")
    theirs = ("configs/", "src/pipeline/datasets/")
    assert [path for path in listed if not path.startswith(theirs) and not (ROOT / path).exists()] == []
    modules = {
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "serve")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py" and path.parent.name != "datasets"
    }
    assert modules <= set(listed)


def test_every_setting_of_the_server_is_documented() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", page("docs/commands.md"), re.MULTILINE))
    assert rows == {name: default for name, (default, _) in variables().items()}


def test_the_exit_codes_are_those_of_the_errors() -> None:
    """130 and 143 are signals."""
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", page("docs/commands.md"), re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert codes == {kind.exit_code for kind in kinds} | set(monitor.VERDICTS)


def test_the_page_of_settings_has_every_key_of_the_schema() -> None:
    """`make readme` writes it; this fails where a key came, went or changed its default since."""
    configuration = module_of("docs/configuration.py")
    assert part(page("docs/configuration.md"), "keys").rstrip() == configuration.tables()
    assert configuration.undescribed() == []


def test_the_example_of_the_page_is_a_config(tmp_path: Path) -> None:
    example = page("docs/configuration.md").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "churn.yaml").write_text(example)
    config = load(tmp_path / "churn.yaml")
    assert (config.name, config.task, config.features) == ("churn", "binary", ["plan", "months", "charge"])
