"""Predictions held against what happened: reliability, gain and deciles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.metrics import (
    DECILE_COUNT,
    INTERVAL_PERCENTILES,
    METRICS,
    bootstrap_blocks,
    decile_means,
    gain_curve,
)
from training.plots.canvas import (
    BLUE,
    GREY,
    INK,
    MARKERS,
    PALE,
    SKY,
    VERMILLION,
    Subject,
    floats,
    line_style,
    new_figure,
    short,
    styled,
    whom,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from training.metrics import Floats, Kind

RESAMPLES, RESAMPLING_SEED = 500, 0
# The two-sided 95 % quantile of the normal distribution.
NORMAL_QUANTILE = 1.959964


def calibration_plot(actual: ArrayLike, predictions: Mapping[str, ArrayLike], *, subject: Subject) -> Figure:
    """Draw a reliability diagram, one line a set of probabilities (calibrated, raw), above their histograms.

    Bins hold equal counts, but equal probabilities are never parted, so there may be fewer than ten. The title is about
    the first set.
    """
    truth, scores = floats(actual), {name: floats(predicted) for name, predicted in predictions.items()}
    first = next(iter(scores))
    once = np.ones((1, len(truth)))
    error = METRICS["probability"]["adaptive_calibration_error"].compute(truth, scores[first], once)[0]
    figure = new_figure(
        f"{first.capitalize()} probabilities are {100 * error:.1f} percentage points off on average",
        f"{whom(subject, len(truth))} · up to {DECILE_COUNT} bins of equal count · bars: 95% Wilson intervals",
    )
    above, below = map(styled, figure.subplots(2, 1, sharex=True, height_ratios=(3, 1)))
    limits = [_draw_reliability(above, truth, score, name, row) for row, (name, score) in enumerate(scores.items())]
    limit = min(1.02, 1.05 * max(limits))
    above.plot([0, limit], [0, limit], color=GREY, linewidth=1, linestyle=":", label="perfect", zorder=1)
    above.set(xlim=(0, limit), ylim=(0, limit), ylabel=wrapped(subject.observed_label))
    above.legend(fontsize=9)
    for row, score in enumerate(scores.values()):
        below.hist(score, np.linspace(0, limit, 41), histtype="step", linewidth=1.4, color=line_style(row)["color"])
    below.set(xlabel=subject.predicted_label, ylabel="customers\n(count)")
    return figure


def gain_plot(
    actual: ArrayLike,
    predicted: ArrayLike,
    baselines: Mapping[str, ArrayLike],
    *,
    subject: Subject,
    model: str = "model",
) -> Figure:
    """Draw the share of the outcome held by the highest predictions: the model, each baseline, chance and the best."""
    curves = {name: gain_curve(actual, score) for name, score in {model: predicted, **baselines}.items()}
    figure = new_figure(
        _gain_title({name: float(np.interp(0.1, *curve)) for name, curve in curves.items()}, subject=subject),
        f"{whom(subject, np.size(actual))} · customers in order of prediction, highest first",
    )
    axes = styled(figure.subplots())
    for row, (name, curve) in enumerate(curves.items()):
        width, order = (1.5, 3) if row else (2.5, 4)
        axes.plot(
            *(100 * share for share in curve), linewidth=width, zorder=order, label=short(name), **line_style(row)
        )
    axes.plot(*(100 * share for share in gain_curve(actual, actual)), color=PALE, label="perfect order", zorder=1)
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle=":", label="chance")
    axes.axvline(10, color=PALE, linewidth=1, zorder=1)
    axes.set(xlim=(0, 100), ylim=(0, 101), xlabel="customers taken (%)", ylabel=f"share of all {subject.outcome} (%)")
    axes.legend(loc="lower right", fontsize=9)
    return figure


def decile_plot(actual: ArrayLike, predicted: ArrayLike, *, subject: Subject) -> Figure:
    """Draw the observed outcome of each decile of the prediction with its 95 % interval, and what was predicted."""
    truth, score = floats(actual), floats(predicted)
    once = np.ones((1, len(truth)))
    observed, expected = (decile_means(values, score, once)[0] for values in (truth, score))
    low, high = _decile_interval(truth, score, kind=subject.kind)
    lift = observed[0] / truth.mean() if truth.any() else float("nan")
    method = "Wilson intervals" if subject.kind == "probability" else "bootstrap intervals"
    figure = new_figure(
        f"The top decile has {lift:.1f} times the average {subject.outcome}" if truth.any() else "Nothing was observed",
        f"{whom(subject, len(truth))} · bars: observed, with 95% {method}",
    )
    axes, deciles = styled(figure.subplots()), np.arange(1, DECILE_COUNT + 1)
    axes.bar(deciles, observed, color=SKY, width=0.72, label="observed")
    axes.vlines(deciles, low, high, color=INK, linewidth=1.3)
    axes.plot(deciles, expected, color=VERMILLION, marker="D", markersize=5, linewidth=1.2, label="predicted")
    axes.axhline(truth.mean(), color=GREY, linewidth=1, linestyle=":", label="observed, all customers")
    axes.set(xticks=deciles, xlabel="decile of the prediction (1 = highest)", ylabel=wrapped(subject.observed_label))
    axes.set_ylim(bottom=min(0.0, float(low.min())))
    axes.grid(visible=False, axis="x")
    axes.legend(fontsize=9)
    return figure


def interval_plot(actual: ArrayLike, quantiles: ArrayLike, *, subject: Subject) -> Figure:
    """Draw p10, p50 and p90 of tenths of the customers, in order of p50, over the same percentiles of what happened."""
    truth, said = floats(actual), np.asarray(quantiles, np.float64)
    covered = float(np.mean((truth >= said[:, 0]) & (truth <= said[:, 2])))
    figure = new_figure(
        f"{covered:.1%} of outcomes lie from p10 to p90; 80% is meant",
        f"{whom(subject, len(truth))} · tenths in order of the predicted median",
    )
    axes, tenths = styled(figure.subplots()), np.array_split(np.argsort(said[:, 1], kind="stable"), DECILE_COUNT)
    deciles = np.arange(1, len(tenths) + 1)
    low, middle, high = np.array([np.median(said[rows], axis=0) for rows in tenths]).T
    happened = np.array([np.quantile(truth[rows], (0.1, 0.5, 0.9)) for rows in tenths]).T
    axes.fill_between(deciles, low, high, color=SKY, alpha=0.35, label="predicted, p10 to p90")
    axes.plot(deciles, middle, color=BLUE, linewidth=1.5, label="predicted, p50")
    for values, marker, name in zip(happened, ("v", "D", "^"), ("p10", "p50", "p90"), strict=True):
        axes.plot(deciles, values, color=INK, marker=marker, linestyle="none", markersize=5, label=f"observed, {name}")
    axes.set(xticks=deciles, xlabel="tenth of the predicted median (1 = lowest)", ylabel=wrapped(subject.single_label))
    axes.legend(fontsize=9)
    return figure


def _gain_title(first_tenth: Mapping[str, float], *, subject: Subject) -> str:
    """Say what the first tenth holds; the first name is the model, the others are its baselines."""
    (model, share), *others = first_tenth.items()
    if np.isnan(share):
        return f"No {subject.outcome} was observed"
    best = f"; best baseline {100 * max(other for _, other in others):.1f}%" if others else ""
    return f"The top 10% by {model} hold {100 * share:.1f}% of all {subject.outcome}{best}"


def _wilson(rate: Floats, count: Floats) -> tuple[Floats, Floats]:
    """95 % interval of a rate, sound at 0 and 1 and for small counts (Wilson 1927)."""
    shrink = 1 / (1 + NORMAL_QUANTILE**2 / count)
    centre = shrink * (rate + NORMAL_QUANTILE**2 / (2 * count))
    half = shrink * NORMAL_QUANTILE * np.sqrt(rate * (1 - rate) / count + NORMAL_QUANTILE**2 / (4 * count**2))
    # Rounding may part the two by 1e-17 where they meet the rate itself, at 0 and 1.
    return np.minimum(centre - half, rate), np.maximum(centre + half, rate)


def _decile_interval(truth: Floats, score: Floats, *, kind: Kind) -> tuple[Floats, Floats]:
    if kind == "probability":
        rates = decile_means(truth, score, np.ones((1, len(truth))))[0]
        return _wilson(np.clip(rates, 0.0, 1.0), np.full(DECILE_COUNT, len(truth) / DECILE_COUNT))
    resampled = [
        decile_means(truth, score, weights)
        for weights in bootstrap_blocks(len(truth), draws=RESAMPLES, seed=RESAMPLING_SEED)
    ]
    low, high = np.percentile(np.concatenate(resampled), INTERVAL_PERCENTILES, axis=0)
    return low, high


def _draw_reliability(axes: Axes, truth: Floats, score: Floats, name: str, row: int) -> float:
    """Draw one line of a reliability diagram; answer how far from zero it reaches."""
    borders = np.quantile(score, np.arange(1, DECILE_COUNT) / DECILE_COUNT, method="inverted_cdf")
    _, bin_of_row, counts = np.unique(np.searchsorted(borders, score), return_inverse=True, return_counts=True)
    expected, rate = (np.bincount(bin_of_row, values) / counts for values in (score, truth))
    low, high = _wilson(rate, counts.astype(np.float64))
    axes.vlines(expected, low, high, linewidth=1.2, alpha=0.7, color=line_style(row)["color"])
    axes.plot(expected, rate, marker=MARKERS[row % len(MARKERS)], label=short(name), zorder=4 - row, **line_style(row))
    return float(max(score.max(), high.max()))
