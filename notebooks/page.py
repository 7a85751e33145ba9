"""What explore.ipynb puts on its page: pictures in the project's colours, tables, and findings with their use."""

import io
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import yaml
from IPython.display import Markdown, display
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from rows import ROOT
from sklearn.decomposition import PCA

from pipeline.monitoring.plots import ALARM
from pipeline.plotting import ACCENT, INK, QUIET

PALETTE = [ACCENT, ALARM, INK, QUIET, "#5fb3a8", "#e0a458"]
RAMP = LinearSegmentedColormap.from_list("ramp", ["#f4f6f8", "#5fb3a8", ACCENT, INK])
DIVERGING = LinearSegmentedColormap.from_list("diverging", [ALARM, "#ffffff", ACCENT])
STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}


class Page:
    """The page of one model; it keeps the findings until the end."""

    def __init__(self, model: str) -> None:
        self.configs = config_files(model)
        self.findings: list[dict[str, str]] = []
        mpl.rcParams.update(STYLE)

    def show(self, figure: Figure, sentence: str) -> None:
        """Display a picture, and below it a sentence that says what to see. Screen readers get its titles, and that."""
        titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)
        display({"image/png": png.getvalue()}, metadata={"image/png": {"alt": ", ".join(titles)}}, raw=True)
        display(Markdown(f"*{sentence}*"))

    def table(self, frame: pd.DataFrame) -> None:
        """Display a frame as a table of Markdown, without its index."""
        rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.itertuples(index=False)]
        display(Markdown("\n".join(table_row(row) for row in rows)))

    def found(self, finding: str, setting: str, file: str, definition: str) -> None:
        """Add a finding and what uses it: a key of the config, where it has that, and a definition in a file."""
        places = [line_with(path, setting) for path in self.configs if setting]
        used = [next(filter(None, places), None), line_with(ROOT / file, definition)]
        if used[-1] is None:
            raise ValueError(f"{file} has no line that begins with {definition!r}: where is the finding used now?")
        self.findings.append({"What was found": finding, "Where it is used": ", ".join(filter(None, used))})
        display(Markdown(f"**What it means for the model.** {finding}"))


def draw_groups(axes: Axes, names: list[str], group: np.ndarray, pca: PCA, points: np.ndarray) -> None:
    """Draw points in the colours of their groups, and an arrow for each strong feature that has its own direction."""
    sns.scatterplot(
        x=points[:, 0], y=points[:, 1], hue=group, palette=PALETTE[: group.max() + 1], alpha=0.8, s=18, ax=axes
    )
    axes.legend(title="group")
    first, second = pca.explained_variance_ratio_
    axes.set(xlabel=f"first component, {first:.0%} of the variance", ylabel=f"second component, {second:.0%}")

    arrows: list[np.ndarray] = []
    for position in np.argsort(-np.hypot(*pca.components_))[:8]:
        arrow = pca.components_[:, position] / np.hypot(*pca.components_[:, position])
        if any(arrow @ other > 0.97 for other in arrows):
            continue
        arrows.append(arrow)
        tip = pca.components_[:, position] * np.abs(points).max(axis=0) * 1.2
        look = {"arrowstyle": "<-", "color": INK, "linewidth": 0.7}
        axes.annotate(names[position], xy=(0, 0), xytext=tuple(tip), fontsize=7, ha="center", arrowprops=look)


def config_files(model: str) -> list[Path]:
    """The config of a model, and those that it extends."""
    files = [ROOT / f"configs/{model}.yaml"]
    while parent := yaml.safe_load(files[-1].read_text(encoding="utf-8")).get("extends"):
        files.append(ROOT / "configs" / parent)
    return files


def line_with(path: Path, text: str) -> str | None:
    """A link to the first line of a file that begins with a text, apart from its indentation."""
    name = path.relative_to(ROOT).as_posix()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith(text):
            return f"[`{name}`, line {number}](../{name}#L{number})"
    return None


def short(number: float) -> str:
    """A number with three significant digits, or all of those before the point."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def table_row(values: Iterable[object]) -> str:
    """A line of a Markdown table."""
    cells = [short(value) if isinstance(value, float) else f"{value}" for value in values]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
