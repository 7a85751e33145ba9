"""Beside mkdocs.yml: README as the front page, links that leave docs/, and pictures in Mermaid's language."""

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent.parent
MERMAID = "assets/mermaid.js"
FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r'(?:\[(?P<text>[^\]]*)\]\(|src(?:set)?=")(?P<target>[^)"#:\s]+)(?:#[^)"]*)?[)"]')


def on_config(config: Any) -> None:
    """Name the site as README is titled."""
    title = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n")[0]
    config.site_name = title.removeprefix("# ").replace("\\", "")
    if notebooks():
        config.nav.append({"The notebook": "explore.md"})


def on_files(files: Any, config: Any) -> None:
    """Add README as the front page, and the script that draws Mermaid's pictures, which a package of the set has."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=readme))
    package = importlib.util.find_spec("mermaidx")
    assert package is not None
    assert package.origin is not None
    files.append(File.generated(config, MERMAID, abs_src_path=str(Path(package.origin).parent / MERMAID)))
    for folder in notebooks()[:1]:
        for path in [folder / "explore.md", *folder.glob("pictures/*.png")]:
            files.append(File.generated(config, path.relative_to(folder).as_posix(), abs_src_path=str(path)))


def notebooks() -> list[Path]:
    """The folders that `make notebook` has written, the newest first. The site has the first one; none is no fault."""
    folders = [path.parent for path in ROOT.glob("reports/*.notebook/explore.md")]
    return sorted(folders, key=lambda folder: -folder.stat().st_mtime)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page without the marks of its parts, and with links as they are on the site."""
    folder = ROOT if page.file.src_uri == "index.md" else ROOT / "docs"
    pieces = FENCED.split(re.sub(r"^ *<!--.*?-->\n", "", markdown, flags=re.MULTILINE | re.DOTALL))
    return "".join(piece if FENCED.match(piece) else linked(piece, folder) for piece in pieces)


def on_page_content(html: str, **_: Any) -> str:
    """Load the script before the theme looks for it; the theme would take it from another host."""
    return f'<script src="{MERMAID}"></script>\n{html}' if '<pre class="mermaid">' in html else html


def linked(text: str, folder: Path) -> str:
    """The text with its links inside the repository made those of the site."""

    def replaced(link: re.Match[str]) -> str:
        path = (folder / link["target"]).resolve()
        of_the_site = path.is_relative_to(ROOT / "docs") and path.suffix != ".py"
        if path == ROOT / "README.md":
            target = "index.md"
        elif of_the_site or not path.exists():
            target = os.path.relpath(path, ROOT / "docs")
        else:
            return in_the_repository(link, path.relative_to(ROOT).as_posix())
        return link[0].replace(link["target"], target)

    return LINK.sub(replaced, text)


def in_the_repository(link: re.Match[str], path: str) -> str:
    """A link to a file that is no page: to the repository where GitHub says which it is, otherwise the text alone."""
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository or link["text"] is None:
        return link["text"] or link[0]
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    return f"[{link['text']}]({server}/{repository}/blob/{os.environ.get('GITHUB_SHA', 'main')}/{path})"
