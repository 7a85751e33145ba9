"""Where a rename finds the names that it replaces, and how it replaces them: always checked, never half."""

import json
import re

PACKAGE = "mlops-reference"
EXAMPLE = "flights"
EXAMPLE_SCRIPT = ".ci/example.py"
HERE = (".ci/rename.py", ".ci/places.py", EXAMPLE_SCRIPT)  # they know the names of the template
# Replaced wherever they stand, in these files at the least: the package's name, and the default model in three forms.
EVERYWHERE = {
    PACKAGE: ("pyproject.toml", "Dockerfile", "compose.yaml", "serve/messages.py", ".devcontainer/devcontainer.json"),
    "{MODEL:-flights}": ("compose.yaml",),
    "ARG MODEL=flights": ("Dockerfile",),
    "MODEL ?= flights": ("Makefile",),
}
# The default model in single files, with enough around it to leave the example's own name alone.
MODEL = {
    "Makefile": ["flights where none is said"],
    "README.md": ["`configs/flights.yaml` says", "`models/flights/champion`"],
    ".github/workflows/ci.yml": ["image: flights"],
    "deploy/azure/deployment.yml": ["endpoint_name: flights", "name: flights-server", "/flights:latest"],
    "deploy/azure/endpoint.yml": ["name: flights"],
    "deploy/cloud-run.yaml": ["name: flights", "/models/flights"],
    "deploy/kserve.yaml": ["name: flights"],
    "deploy/sagemaker.py": ['NAME = "flights"'],
    "deploy/vertex.py": ['NAME = "flights"'],
    "docs/architecture.md": ["models/flights", "log/flights.db"],
    "docs/ci.md": ["verify sigstore models/flights/"],
    "docs/commands.md": ["Without it the model is `flights`", "| `models/flights` |", "train configs/flights.yaml"],
    "docs/decisions.md": ["models:/flights@champion"],
    "notebooks/explore.ipynb": [r"\"MODEL\", \"flights\""],
    "docs/deploy.md": ["8080:8080 flights", "models/flights"],
    "serve/settings.py": ["models/flights"],
    "src/pipeline/__main__.py": ["configs/flights.yaml"],
    "tests/serve/test_settings.py": ["models/flights"],
    "tests/system/stack/test_stack.py": ['"MODEL", "flights"'],
}
TEMPLATE_FILES = r"tests/project/test_rename\.py|tests/system/renamed/.*"  # nothing is left for them to test


class RenameError(Exception):
    """A rename that cannot be done; its message says why, and nothing was written."""


Texts = dict[str, str]


def replaced(texts: Texts, path: str, pattern: str, new: str) -> Texts:
    """The texts with every match in one file replaced. Raises RenameError where there is none."""
    text, count = re.subn(pattern, lambda _: new, texts.get(path, ""), flags=re.MULTILINE)
    if not count:
        fault = "has no text like" if path in texts else "is missing, and with it"
        raise RenameError(
            f"{path}: {fault} {pattern!r}. Correct the file, or .ci/places.py and example.py, which name it"
        )
    return {**texts, path: text}


def replaced_everywhere(texts: Texts, old: str, new: str, files: tuple[str, ...]) -> Texts:
    """The texts with a name replaced wherever it stands. Raises RenameError where one of the files does not have it."""
    for path in files:
        texts = replaced(texts, path, re.escape(old), new)
    return {path: text if path in HERE else text.replace(old, new) for path, text in texts.items()}


def without_files(texts: Texts, pattern: str) -> Texts:
    """The texts without the files whose whole path matches. Raises RenameError where there is none."""
    rest = {path: text for path, text in texts.items() if not re.fullmatch(pattern, path)}
    if len(rest) == len(texts):
        raise RenameError(
            f"{pattern}: there is no such file, and a rename removes it. Correct .ci/places.py and example.py"
        )
    return rest


def without_blocks(texts: Texts, name: str) -> Texts:
    """The texts without what stands between a line `<!-- NAME -->` and `<!-- /NAME -->`, or `# <NAME>` and `# </NAME>`.

    Raises RenameError where a block is not closed, or none is there.
    """
    inside = rf"(?:(?! *(?:<!-- /?{name} -->|# </?{name}>)$).*\n)*"  # the end of a block is the first one
    lines = rf"^ *(?:<!-- {name} -->|# <{name}>)\n{inside}^ *(?:<!-- /{name} -->|# </{name}>)\n"
    block = re.compile(rf"(?<=\n\n){lines}\n|{lines}", re.MULTILINE)  # of two blank lines around it, one stays
    marker = re.compile(rf"^ *(?:<!-- /?{name} -->|# </?{name}>)$", re.MULTILINE)
    rest = {path: text if path in HERE else block.sub("", text) for path, text in texts.items()}

    if rest == texts:
        raise RenameError(f"no file has a block {name}, which a rename removes")
    for path, text in rest.items():
        if marker.search(text) and path not in HERE:
            raise RenameError(f"{path}: a block {name} is not opened or not closed")
    return rest


def without_leg(legs: str, suite: str) -> str:
    """The list of legs, such as `["broken setup", "renamed"]`, without a suite, and without a leg that had only it."""
    kept = [" ".join(name for name in leg.split() if name != suite) for leg in json.loads(legs)]
    return json.dumps([leg for leg in kept if leg])


def without_suite(texts: Texts, suite: str) -> Texts:
    """The texts without a suite of tests/system, which `make`, the workflow, the docs and `make ci` name."""
    command = f"make test SUITE={suite}"
    suites = re.findall(r"^SUITES := .*$", texts["Makefile"], re.MULTILINE)[0]
    texts = replaced(texts, "Makefile", re.escape(suites), re.sub(rf" {suite}\b", "", suites))
    if f"\nNEEDS_{suite} :=" in texts["Makefile"]:
        texts = replaced(texts, "Makefile", rf"^NEEDS_{suite} := .*\n", "")
    legs = re.findall(r"matrix: \{suites: (.*)\}", texts[".github/workflows/ci.yml"])[0]
    left = without_leg(legs, suite)
    texts = replaced(texts, ".github/workflows/ci.yml", re.escape(legs), left)
    texts = replaced(texts, "docs/ci.md", re.escape(", ".join(json.loads(legs))), ", ".join(json.loads(left)))
    texts = replaced(texts, ".ci/all", rf' ?"{command}"', "")
    texts = replaced(texts, "docs/ci.md", rf"^\| `{command}` \|.*\n", "")
    return replaced(texts, "docs/commands.md", rf"^\| `SUITE={suite}` \|.*\n", "")
