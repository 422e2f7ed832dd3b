"""What every figure shares: colours, size, a title over a subtitle, and the subject in words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from training.metrics import Floats, Kind

# Okabe & Ito (2008), "Color universal design": told apart with any colour vision, and in grey.
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
INK, GREY, PALE = "#222222", "#767676", "#D9D9D9"
SERIES = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))

SIZE_INCHES, DOTS_PER_INCH = (7.5, 5.0), 120
TITLE_CHARACTERS = 72
NAME_CHARACTERS = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a figure is about, for its words: an `outcome` such as "repurchase" or "spend", over `horizon_days`."""

    kind: Kind
    outcome: str
    horizon_days: int

    @property
    def predicted_label(self) -> str:
        """The label of an axis of predictions, with its unit."""
        return f"predicted {self._quantity}"

    @property
    def observed_label(self) -> str:
        """The label of an axis of outcomes, with its unit."""
        return f"observed {self._quantity}"

    @property
    def single_label(self) -> str:
        """The label of an axis of single customers' outcomes, with its unit."""
        unit = {"probability": "0 or 1", "amount": "shop's currency", "days": "days"}[self.kind]
        return f"{self.outcome} within {self.horizon_days} days ({unit})"

    @property
    def _quantity(self) -> str:
        unit = {"probability": "rate, 0 to 1", "amount": "mean, shop's currency", "days": "mean"}[self.kind]
        return f"{self.outcome} within {self.horizon_days} days ({unit})"


def new_figure(title: str, subtitle: str) -> Figure:
    """Make an empty figure under its words."""
    from matplotlib.figure import Figure

    lines = textwrap.wrap(title, TITLE_CHARACTERS)
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor="white")
    figure.text(0.015, 0.975, "\n".join(lines), va="top", fontsize=12, fontweight="bold", color=INK)
    figure.text(0.015, 0.965 - 0.05 * len(lines), subtitle, va="top", fontsize=8.5, color=GREY)
    figure.set_layout_engine("constrained", rect=(0.005, 0.005, 0.985, 0.92 - 0.05 * len(lines)))
    return figure


def styled(axes: Axes) -> Axes:
    """Give axes the look of all figures, and return them."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=9.5, color=INK)
    return axes


def line_style(row: int) -> dict[str, Any]:
    """Choose colour and dashes of one series of several: never by colour alone."""
    return {"color": SERIES[row % len(SERIES)], "linestyle": LINES[row % len(LINES)]}


def whom(subject: Subject, row_count: int) -> str:
    """Say of whom a figure is, how far ahead and how many."""
    return f"{subject.outcome}, {subject.horizon_days}-day horizon · n = {row_count:,} customer-cutoffs"


def floats(values: ArrayLike) -> Floats:
    """Return values as float64."""
    return np.asarray(values, np.float64)


def wrapped(label: str) -> str:
    """Break a label that would be longer than its axis is high."""
    return textwrap.fill(label, NAME_CHARACTERS)


def short(name: str) -> str:
    """Cut a name that would take the room of the figure."""
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Label horizontal rows, the first at the top."""
    axes.set_yticks(range(len(names)), [short(name) for name in names], fontsize=8.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
