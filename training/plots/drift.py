"""How far features and scores have moved from what a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.plots.canvas import BLUE, GREY, INK, VERMILLION, Subject, floats, name_rows, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

DRIFT_ROWS, SCORE_BINS = 20, 40


def drift_plot(names: Sequence[str], psi: ArrayLike, limits: ArrayLike, *, subject: Subject, row_count: int) -> Figure:
    """Draw the features that moved furthest, with the limit of each; at most twenty, given furthest first."""
    moved, limit = floats(psi), floats(limits)
    drifted, shown = int((moved > limit).sum()), min(DRIFT_ROWS, len(names))
    figure = new_figure(
        f"{drifted} of {len(names)} features have drifted, {names[0]} furthest",
        f"{_whom(subject, row_count)} · {shown} of {len(names)} features · the dash is the limit of each",
    )
    axes, rows = styled(figure.subplots()), np.arange(shown)
    colours = [VERMILLION if above else BLUE for above in (moved > limit)[:shown]]
    axes.barh(rows, moved[:shown], color=colours, height=0.7)
    axes.vlines(limit[:shown], rows - 0.42, rows + 0.42, color=INK, linewidth=1.5)
    name_rows(axes, names[:shown])
    axes.set(xlabel="population stability index against the training rows")
    return figure


def score_shift_plot(reference: ArrayLike, today: ArrayLike, psi: float, *, subject: Subject) -> Figure:
    """Draw how scores are spread today and how they were on the test cutoff."""
    was, now = floats(reference), floats(today)
    figure = new_figure(
        f"scores have moved by {psi:.2f} since the test cutoff",
        f"{_whom(subject, len(now))}, {len(was):,} then · population stability index",
    )
    axes = styled(figure.subplots())
    edges = np.histogram_bin_edges(np.concatenate([was, now]), bins=SCORE_BINS)
    share, share_now = (np.histogram(scores, edges)[0] / len(scores) for scores in (was, now))
    axes.stairs(share, edges, color=GREY, linestyle="--", linewidth=1.5, label="test cutoff")
    axes.stairs(share_now, edges, color=BLUE, linewidth=1.8, label="today")
    axes.set(xlabel=subject.predicted_label, ylabel="share of customers")
    axes.legend(frameon=False, fontsize=9)
    return figure


def _whom(subject: Subject, row_count: int) -> str:
    return f"{subject.outcome}, {subject.horizon_days}-day horizon · n = {row_count:,} customers today"
