"""The style of all plots, and the function that saves them."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1f2933"
ACCENT = "#0f766e"
QUIET = "#9aa7b4"
Picture = Callable[[Axes], None]


def save(path: Path | BinaryIO, pictures: list[Picture]) -> None:
    """Draw the pictures side by side and save them as one PNG."""
    figure = Figure(figsize=(4.6 * len(pictures), 4.2), layout="constrained", facecolor="white")
    all_axes = np.atleast_1d(figure.subplots(1, len(pictures)))
    for axes, picture in zip(all_axes, pictures, strict=True):
        picture(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8)
        axes.title.set(fontsize=10, color=INK, fontweight="bold")
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(fontsize=9, color=INK)

    figure.savefig(path, format="png", dpi=130, metadata={"Software": None})
