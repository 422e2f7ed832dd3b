"""A metric over test cutoffs of the past, and over the size of the training set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.plots.canvas import BLUE, MARKERS, PALE, Subject, line_style, new_figure, styled, whom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.metrics import Estimate, Metric


def cutoffs_plot(
    metric: Metric,
    cutoffs: Sequence[datetime],
    estimates: Mapping[str, Sequence[Estimate]],
    pooled: Estimate,
    *,
    subject: Subject,
    row_count: int,
    model: str = "model",
) -> Figure:
    """Draw a metric of the model with its 95 % intervals over test cutoffs, the baselines beside it.

    The band is the interval of all cutoffs together.
    """
    words = metric.name.replace("_", " ")
    values = [estimate.value for estimate in estimates[model]]
    figure = new_figure(
        f"{words} over {len(cutoffs)} test cutoffs: {min(values):.3g} to {max(values):.3g}, "
        f"together {pooled.value:.3g}",
        f"{whom(subject, row_count)} · 95% bootstrap intervals · band: all cutoffs together",
    )
    axes = styled(figure.subplots())
    days = np.array([cutoff.replace(tzinfo=None) for cutoff in cutoffs], dtype="datetime64[s]")
    axes.axhspan(pooled.low, pooled.high, color=PALE, alpha=0.6, linewidth=0)
    for row, (name, measured) in enumerate(sorted(estimates.items(), key=lambda item: item[0] != model)):
        style = line_style(row)
        axes.plot(days, [e.value for e in measured], marker=MARKERS[row % len(MARKERS)], label=name, **style)
        if name == model:
            axes.vlines(days, [e.low for e in measured], [e.high for e in measured], color=style["color"], linewidth=2)
    axes.set(xlabel="test cutoff", ylabel=f"{words} ({metric.unit or metric.direction + ' is better'})")
    axes.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    figure.autofmt_xdate(rotation=30)
    return figure


def learning_curve_plot(
    metric: Metric,
    by_customers: Sequence[tuple[int, Estimate]],
    by_cutoffs: Sequence[tuple[int, Estimate]],
    *,
    subject: Subject,
    row_count: int,
) -> Figure:
    """Draw a metric over the customers, and over the cutoffs, that were trained on, with 95 % intervals."""
    words = metric.name.replace("_", " ")
    figure = new_figure(
        f"{words} over the size of the training set",
        f"{whom(subject, row_count)} · 95% bootstrap intervals · the same test rows at every point",
    )
    left, right = figure.subplots(1, 2, sharey=True)
    measured = f"{words} ({metric.unit or metric.direction + ' is better'})"
    _curve(left, by_customers, label="customers trained on", measured=measured)
    _curve(right, by_cutoffs, label="latest cutoffs trained on", measured=measured)
    return figure


def _curve(axes: Axes, points: Sequence[tuple[int, Estimate]], *, label: str, measured: str) -> None:
    styled(axes)
    sizes, estimates = [size for size, _ in points], [estimate for _, estimate in points]
    axes.plot(sizes, [e.value for e in estimates], color=BLUE, marker="o")
    axes.vlines(sizes, [e.low for e in estimates], [e.high for e in estimates], color=BLUE, linewidth=2)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set(xlabel=label, ylabel=measured)
