"""The model beside its baselines, by one metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.plots.canvas import BLUE, GREY, INK, Subject, name_rows, new_figure, styled, whom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.metrics import Estimate, Metric


def metric_comparison_plot(
    metric: Metric, estimates: Mapping[str, Estimate], *, subject: Subject, row_count: int, model: str = "model"
) -> Figure:
    """Draw one metric of the model and its baselines with their 95 % intervals, the best at the top."""
    ordered = sorted(estimates, key=lambda name: _badness(metric, estimates[name].value))
    towards = {"higher": "higher is better", "lower": "lower is better", "one": "nearer to 1 is better"}
    words = metric.name.replace("_", " ")
    figure = new_figure(
        f"Best {words}: {ordered[0]}, with {_number(estimates[ordered[0]].value)}",
        f"{whom(subject, row_count)} · 95% bootstrap intervals · {towards[metric.direction]}",
    )
    axes = styled(figure.subplots())
    for row, name in enumerate(ordered):
        _draw_estimate(axes, row, estimates[name], is_model=name == model)
    if metric.direction == "one":
        axes.axvline(1, color=INK, linewidth=1, linestyle=":")
    name_rows(axes, ordered)
    axes.set(xlabel=f"{words} ({metric.unit or towards[metric.direction]})")
    return figure


def _badness(metric: Metric, value: float) -> float:
    """Sort the best first and the unknown last."""
    if np.isnan(value):
        return float("inf")
    return {"higher": -value, "lower": value, "one": abs(value - 1)}[metric.direction]


def _draw_estimate(axes: Axes, row: int, result: Estimate, *, is_model: bool) -> None:
    color, width, size = (BLUE, 3, 9) if is_model else (GREY, 2, 7)
    axes.hlines(row, result.low, result.high, color=color, linewidth=width)
    axes.plot(result.value, row, color=color, marker="o", markersize=size)
    words = f"{_number(result.value)}  [{_number(result.low)}, {_number(result.high)}]"
    place = {"xytext": (0, 10), "textcoords": "offset points", "ha": "center"}
    axes.annotate(words, (result.value, row), color=color, fontsize=8.5, **place)


def _number(value: float) -> str:
    """Three digits, but a thousand and more in full."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")  # noqa: PLR2004 - as it says
