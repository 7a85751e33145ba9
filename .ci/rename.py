"""`make rename`: turn a clone of this template into somebody's own project, and take the example away if they say so.

It runs before anything is installed, so it imports the standard library alone. Which texts stand where is in
places.py. Everything is computed and checked before the first file is written.
"""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import places

ROOT = Path(__file__).parent.parent
USAGE = 'make rename NAME=churn TITLE="Will a customer leave?" OWNER="Ada Lovelace" [WITHOUT=flights]'
Texts = dict[str, str]  # the text of every tracked file by its path


class Request(NamedTuple):
    """A rename as somebody asks for it: the model's name, README's title, the licence holder, the example to remove."""

    name: str
    title: str
    owner: str
    without: str

    @property
    def package(self) -> str:
        """The name where no underscore may stand: of the Python package, and on platforms."""
        return self.name.replace("_", "-")


def main() -> None:
    """Rename, or say why not. Ends with 2 where nothing was changed."""
    request = Request(*(os.environ.get(key, "").strip() for key in ("NAME", "TITLE", "OWNER", "WITHOUT")))
    try:
        check_request(request)
        before = tracked_texts()
        after = changed(before, request)
    except places.RenameError as error:
        sys.exit(refuse(str(error)))

    write(before, after)
    print("\n".join(summary(before, after, request)))


def refuse(message: str) -> int:
    print(f"error: {message}\nNothing was changed.", file=sys.stderr)
    return 2


def check_request(request: Request) -> None:
    """Raise RenameError where the request, the config or the state of the repository does not allow a rename."""
    if not (request.name and request.title and request.owner):
        missing = [key.upper() for key, value in request._asdict().items() if not value and key != "without"]
        raise places.RenameError(f"{', '.join(missing)}: missing. {USAGE}")
    if not re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", request.name):
        raise places.RenameError(
            f"NAME={request.name!r}: should be small letters, digits and underscores, such as churn_2024, and end with "
            "no underscore"
        )
    for key, value in (("TITLE", request.title), ("OWNER", request.owner)):
        if not value.isprintable():
            raise places.RenameError(f"{key}={value!r}: should be one line of printable characters")
    if request.without not in ("", places.EXAMPLE):
        raise places.RenameError(f"WITHOUT={request.without}: the only example is {places.EXAMPLE}")
    check_not_done(request)
    check_config(request)

    if git("status", "--porcelain", "--untracked-files=no"):
        raise places.RenameError(
            "there are changes that are not committed. Commit them first: then `git diff` shows what a rename changed, "
            "and `git checkout .` takes it back"
        )


def package() -> str:
    """The name of the package as it is now: that of the template until a rename."""
    return re.findall(r'^name = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[0]


def check_not_done(request: Request) -> None:
    """Raise RenameError where a rename was done before. The example may be taken away later, under the same name."""
    present = package()
    if present != places.PACKAGE and (present != request.package or not request.without):
        raise places.RenameError(
            f'this repository was renamed already: pyproject.toml has name = "{present}". To choose other names, take '
            "that commit back (git revert) and rename again"
        )
    if request.without and not (ROOT / places.EXAMPLE_SCRIPT).exists():
        raise places.RenameError(f"WITHOUT={request.without}: the {places.EXAMPLE} are not here any more")


def check_config(request: Request) -> None:
    """Raise RenameError where the model has no config, or one that the example's removal would take away."""
    config = f"configs/{request.name}.yaml"
    if not (ROOT / config).is_file():
        made = f"make new NAME={request.name} CSV=data/{request.name}.csv TARGET=column"
        raise places.RenameError(f"{config}: there is no such config, and {request.name} becomes the default. {made}")
    if request.without:
        import example  # the script goes away with the example

        configs = {
            path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
            for path in (ROOT / "configs").glob("*.yaml")
        }
        if config in example.configs(configs):
            raise places.RenameError(f"{config}: belongs to the {places.EXAMPLE}, which WITHOUT takes away")


def git(*words: str) -> str:
    """The output of a git command in this repository. Raises RenameError where it fails."""
    try:
        ended = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise places.RenameError(
            "git is missing: a rename needs it to list the files, and to take changes back"
        ) from None
    if ended.returncode:
        raise places.RenameError(f"git {words[0]}: {ended.stderr.strip()}. `git init`, and commit all files first")
    return ended.stdout


def tracked_texts() -> Texts:
    """The tracked files that are text in UTF-8; others, such as pictures and tables, have an empty one and stay."""
    texts = {}
    for path in git("ls-files", "-z").strip("\0").split("\0"):
        file = ROOT / path
        if file.is_file() and not file.is_symlink():
            try:
                texts[path] = file.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                texts[path] = ""
    return texts


def changed(texts: Texts, request: Request) -> Texts:
    """The texts after the rename. Raises RenameError where a file does not have a text that should be replaced."""
    if package() == places.PACKAGE:
        texts = renamed(texts, request)
    if request.without:
        import example

        texts = example.removed(texts)
    return texts


def renamed(texts: Texts, request: Request) -> Texts:
    """The texts with the new names, without what only the template has."""
    if any(f"\n{request.package}==" in text for path, text in texts.items() if path.startswith("requirements/")):
        raise places.RenameError(f"NAME={request.name}: is the name of a package in requirements/; choose another")

    texts = places.without_files(texts, places.TEMPLATE_FILES)
    texts = places.without_suite(texts, "renamed")
    texts = places.without_blocks(texts, "template")
    for old, files in places.EVERYWHERE.items():
        new = request.package if old == places.PACKAGE else named(old, request.name)
        texts = places.replaced_everywhere(texts, old, new, files)
    for path, olds in places.MODEL.items():
        name = request.package if path.startswith("deploy/") else request.name
        for old in olds:
            texts = places.replaced(texts, path, re.escape(old), named(old, name))
    for path, pattern, new in head(request):
        texts = places.replaced(texts, path, pattern, new)
    return texts


def named(text: str, name: str) -> str:
    return text.replace(places.EXAMPLE, name)


def head(request: Request) -> list[tuple[str, str, str]]:
    """Path, pattern and replacement of title, description and owner, each as its file writes text."""
    title = re.sub(r"([\\`*_\[\]<>])", r"\\\1", request.title)
    owner = re.sub(r"([\\`*_\[\]<>])", r"\\\1", request.owner)
    sentence = (
        f"A machine learning project of {owner}: training with quality gates, a fast prediction server, monitoring,\n"
        "retraining, a container image and CI."
    )
    description = json.dumps(request.title, ensure_ascii=False)  # what JSON escapes, TOML escapes in the same way
    return [
        ("README.md", r"\A# MLOps reference: .*\n\n(.+\n)+", f"# {title}\n\n{sentence}\n"),
        ("pyproject.toml", r'^description = ".*"$', f"description = {description}"),
        # The notice of the first authors stays: the licence asks every copy to keep it.
        ("LICENSE", r"(?<=\AMIT License\n\n)", f"Copyright (c) {datetime.now(UTC).year} {request.owner}\n"),
    ]


def write(before: Texts, after: Texts) -> None:
    """Write the texts that changed, and remove the files that have none any more with the folders that they leave."""
    for path, text in after.items():
        if text != before[path]:
            (ROOT / path).write_bytes(text.encode("utf-8"))
    for path in before.keys() - after.keys():
        (ROOT / path).unlink()
        remove_empty((ROOT / path).parent)


def remove_empty(folder: Path) -> None:
    """Remove a folder and those above it as long as nothing but compiled Python is in them."""
    while folder != ROOT and all(entry.name == "__pycache__" for entry in folder.iterdir()):
        for compiled in folder.glob("__pycache__/*.pyc"):
            compiled.unlink()
        for cache in folder.iterdir():
            cache.rmdir()
        folder.rmdir()
        folder = folder.parent


def summary(before: Texts, after: Texts, request: Request) -> list[str]:
    """Every file that changed, and what to do next."""
    edited = [f"  changed  {path}" for path in sorted(after) if after[path] != before[path]]
    removed = [f"  removed  {path}" for path in sorted(before.keys() - after.keys())]
    steps = [
        "git diff     look at every change; `git checkout .` takes all of them back",
        f"make train   train {request.name}, which is the default model now",
    ]
    if request.without:
        steps += [
            "make readme  put what your commands print into README and docs, and say the rest in your own words",
            "make lock    resolve the dependencies again; what is locked works without it too",
        ]
    return [*edited, *removed, "", "Next:", *(f"  {step}" for step in steps)]


if __name__ == "__main__":
    main()
