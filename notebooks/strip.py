"""Take what a run has left out of the notebooks of this folder, so that git sees text alone. `make format` does it."""

import json
from pathlib import Path

METADATA = {"language_info": {"name": "python"}}


def main() -> None:
    for path in Path(__file__).parent.glob("*.ipynb"):
        path.write_text(stripped(path.read_text(encoding="utf-8")), encoding="utf-8")


def stripped(notebook: str) -> str:
    """The text of a notebook without outputs, numbers of executions, and metadata other than the tags of cells."""
    content = json.loads(notebook)
    for cell in content["cells"]:
        cell["metadata"] = {key: value for key, value in cell["metadata"].items() if key == "tags"}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
    return json.dumps({**content, "metadata": METADATA}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
