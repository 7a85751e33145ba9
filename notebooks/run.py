"""`make notebook`: run explore.ipynb for one config, and write it into reports/ as a page and as Markdown."""

import os
import re
import shutil
import sys
import time
from pathlib import Path
from string import Template

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter, MarkdownExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter
from rows import ROOT

from pipeline import errors
from pipeline.config.config import Config, load
from pipeline.config.splits import TimeSplit

NOTEBOOK = ROOT / "notebooks/explore.ipynb"
PAGE = ROOT / "notebooks/page.html"
SILENT = ["--IPKernelApp.log_level=40"]  # it warns of its ports, which only this machine reaches, with a key


def main() -> None:
    """Write the page, and print where it is. An error of the config or the data ends with its exit code."""
    began = time.monotonic()
    try:
        config = load(ROOT / f"configs/{os.environ['MODEL']}.yaml")
        notebook = executed(config)
    except errors.PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

    folder = ROOT / config.paths.reports / f"{config.name}.notebook"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "pictures").mkdir(parents=True)
    nbformat.write(notebook, folder / "explore.ipynb")
    (folder / "explore.html").write_text(html(notebook, config), encoding="utf-8")
    write_markdown(notebook, folder)
    print(f"Ran in {time.monotonic() - began:.0f} s: {(folder / 'explore.html').relative_to(ROOT)}")


def executed(config: Config) -> NotebookNode:
    """The notebook with its outputs, without the cells that are about another kind of data.

    Raises the PipelineError of a cell; any other error of a cell is the notebook's fault, and ends with its traceback.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    applying = {"time"} if isinstance(config.split, TimeSplit) else set()
    applying.add(config.dataset)
    notebook.cells = [cell for cell in notebook.cells if applying.issuperset(cell.metadata.get("tags", []))]

    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    client = NotebookClient(notebook, timeout=600, extra_arguments=SILENT, resources=resources)
    try:
        client.execute()
    except CellExecutionError as error:
        kind = getattr(errors, error.ename, None)
        if kind is None:
            sys.exit(re.sub(r"\x1b\[[\d;]*m", "", str(error)))
        raise kind(error.evalue) from None
    return notebook


def html(notebook: NotebookNode, config: Config) -> str:
    """One page with its pictures inside, which loads nothing. Its links lead from reports/NAME.notebook."""
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(notebook)
    light, dark = (HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("tango", "github-dark"))
    page = Template(PAGE.read_text(encoding="utf-8"))
    title = f"A first look at the data: {config.question}"
    return page.substitute(title=title, body=body.replace('href="../', 'href="../../'), light=light, dark=dark)


def write_markdown(notebook: NotebookNode, folder: Path) -> None:
    """Write explore.md, and its pictures under the names of their cells. Links lead from a folder like docs/."""
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    for name, content in resources["outputs"].items():
        _, cell_number, output_number = Path(name).stem.split("_")
        cell = notebook.cells[int(cell_number)]
        alt = cell.outputs[int(output_number)].metadata["image/png"]["alt"]
        text = text.replace(f"![png]({name})", f"![{alt}](pictures/{cell.id}.png)")
        (folder / f"pictures/{cell.id}.png").write_bytes(content)
    (folder / "explore.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
