"""What the model goes by: the features' parts in its gain, and in each customer's score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.plots.canvas import (
    BLUE,
    GREY,
    PURPLE,
    VERMILLION,
    Subject,
    floats,
    name_rows,
    new_figure,
    styled,
    whom,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from training.metrics import Floats

IMPORTANCE_ROWS, SHAP_ROWS = 20, 15
# A beeswarm is full at two thousand points a row; more only takes longer to draw.
SHAP_POINTS = 2000


def importance_plot(names: Sequence[str], gain: ArrayLike, *, subject: Subject, row_count: int) -> Figure:
    """Draw the features with the largest gain, as shares of the gain of all; at most twenty."""
    gains = floats(gain)
    shares = 100 * gains / gains.sum() if gains.any() else gains
    top = np.argsort(-shares, kind="stable")[:IMPORTANCE_ROWS]
    figure = new_figure(
        f"{names[top[0]]} brings {shares[top[0]]:.0f}% of the gain, the top {len(top)} bring {shares[top].sum():.0f}%",
        f"{whom(subject, row_count)} · {len(top)} of {len(names)} features",
    )
    axes, rows = styled(figure.subplots()), np.arange(len(top))
    axes.barh(rows, shares[top], color=BLUE, height=0.7)
    name_rows(axes, [names[feature] for feature in top])
    axes.set(xlabel="share of the total gain in the training loss (%)")
    return figure


def shap_summary_plot(
    names: Sequence[str], contributions: ArrayLike, values: ArrayLike, *, subject: Subject, unit: str, seed: int = 0
) -> Figure:
    """Draw how the features move the score, one dot a customer, coloured by where its value ranks; at most fifteen.

    `contributions` and `values` are (customers, features); `unit` is that of the contributions, such as "log-odds".
    Of more than two thousand customers, a sample chosen by `seed` is drawn; the order is that of all.

    References
    ----------
    Lundberg, Erion & Lee (2018), "Consistent individualized feature attribution for tree ensembles".
    """
    table, known = floats(contributions), floats(values)
    top = np.argsort(-np.abs(table).mean(axis=0), kind="stable")[:SHAP_ROWS]
    drawn = np.sort(np.random.default_rng(seed).permutation(len(table))[:SHAP_POINTS])
    shown = f"{len(top)} of {len(names)} features · each dot a customer, {len(drawn):,} drawn"
    strongest = float(np.abs(table[:, top[0]]).mean())
    figure = new_figure(
        f"{names[top[0]]} moves the score most: by {_figure_of(strongest)} {unit} on average",
        f"{whom(subject, len(table))} · {shown}",
    )
    axes = styled(figure.subplots())
    axes.axvline(0, color=GREY, linewidth=1, zorder=1)
    for row, feature in enumerate(top):
        _draw_swarm(axes, row, table[drawn, feature], _percentiles(known[drawn, feature]))
    name_rows(axes, [names[feature] for feature in top])
    axes.set(xlabel=f"contribution to the score ({unit})")
    _draw_percentile_bar(figure, axes)
    return figure


def _figure_of(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"  # noqa: PLR2004 - no powers of ten in a title


def _percentiles(values: Floats) -> Floats:
    """Where each value ranks among the known ones, 0 to 1; NaN where it is not known."""
    from scipy.stats import rankdata

    ranks: Floats = (rankdata(values, nan_policy="omit") - 0.5) / max(1, np.isfinite(values).sum())
    return ranks


def _draw_swarm(axes: Axes, row: int, contributions: Floats, percentiles: Floats) -> None:
    height = row + 0.8 * _swarm_offsets(contributions)
    missing = np.isnan(percentiles)
    axes.scatter(contributions[missing], height[missing], s=4, color=GREY, linewidths=0, rasterized=True)
    axes.scatter(
        contributions[~missing],
        height[~missing],
        c=percentiles[~missing],
        cmap=_blue_to_vermillion(),
        vmin=0,
        vmax=1,
        s=5,
        linewidths=0,
        rasterized=True,
    )


def _swarm_offsets(positions: Floats) -> Floats:
    """Spread near neighbours to both sides of a line: -0.5 to 0.5, as far as their crowd is large."""
    span = np.ptp(positions) or 1.0
    cell = np.round(100 * (positions - positions.min()) / span).astype(np.intp)
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell)
    place = np.empty(len(cell), np.intp)
    place[order] = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    side = np.where(place % 2, 1, -1) * ((place + 1) // 2)
    offsets: Floats = side / max(counts.max(), 20)
    return offsets


def _blue_to_vermillion() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("blue to vermillion", [BLUE, PURPLE, VERMILLION])


def _draw_percentile_bar(figure: Figure, axes: Axes) -> None:
    from matplotlib.cm import ScalarMappable

    bar = figure.colorbar(ScalarMappable(cmap=_blue_to_vermillion()), ax=axes, aspect=40, pad=0.01)
    bar.set_ticks([0, 1], labels=["low", "high"], fontsize=9)
    bar.set_label("feature value (percentile; grey: missing)", fontsize=9, labelpad=-12)
    bar.outline.set_visible(False)
