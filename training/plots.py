"""Figures of a model's quality, in one look: a sentence on what is seen, then whom, how many and how far ahead.

Every function returns a `matplotlib.figure.Figure` of 900 x 600 pixels that belongs to nobody else: pyplot, which keeps
figures alive and picks a window system, is not used.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from training.metrics import (
    DECILE_COUNT,
    INTERVAL_PERCENTILES,
    METRICS,
    Estimate,
    Metric,
    bootstrap_blocks,
    decile_means,
    gain_curve,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
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
IMPORTANCE_ROWS, SHAP_ROWS = 20, 15
# A beeswarm is full at two thousand points a row; more only takes longer to draw.
SHAP_POINTS = 2000
RESAMPLES, RESAMPLING_SEED = 500, 0
# The two-sided 95 % quantile of the normal distribution.
NORMAL_QUANTILE = 1.959964


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
    def _quantity(self) -> str:
        unit = {"probability": "rate, 0 to 1", "amount": "mean, shop's currency"}[self.kind]
        return f"{self.outcome} within {self.horizon_days} days ({unit})"


def calibration_plot(actual: ArrayLike, predictions: Mapping[str, ArrayLike], *, subject: Subject) -> Figure:
    """Draw a reliability diagram, one line a set of probabilities (calibrated, raw), above their histograms.

    Bins hold equal counts, but equal probabilities are never parted, so there may be fewer than ten. The title is about
    the first set.
    """
    truth, scores = _floats(actual), {name: _floats(predicted) for name, predicted in predictions.items()}
    first = next(iter(scores))
    once = np.ones((1, len(truth)))
    error = METRICS["probability"]["expected_calibration_error"].compute(truth, scores[first], once)[0]
    figure = _figure(
        f"{first.capitalize()} probabilities are {100 * error:.1f} percentage points off on average",
        f"{_whom(subject, len(truth))} · up to {DECILE_COUNT} bins of equal count · bars: 95% Wilson intervals",
    )
    above, below = map(_styled, figure.subplots(2, 1, sharex=True, height_ratios=(3, 1)))
    limits = [_draw_reliability(above, truth, score, name, row) for row, (name, score) in enumerate(scores.items())]
    limit = min(1.02, 1.05 * max(limits))
    above.plot([0, limit], [0, limit], color=GREY, linewidth=1, linestyle=":", label="perfect", zorder=1)
    above.set(xlim=(0, limit), ylim=(0, limit), ylabel=_wrapped(subject.observed_label))
    above.legend(fontsize=9)
    for row, score in enumerate(scores.values()):
        below.hist(score, np.linspace(0, limit, 41), histtype="step", linewidth=1.4, color=_line(row)["color"])
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
    figure = _figure(
        _gain_title({name: float(np.interp(0.1, *curve)) for name, curve in curves.items()}, subject=subject),
        f"{_whom(subject, np.size(actual))} · customers in order of prediction, highest first",
    )
    axes = _styled(figure.subplots())
    for row, (name, curve) in enumerate(curves.items()):
        width, order = (1.5, 3) if row else (2.5, 4)
        axes.plot(*(100 * share for share in curve), linewidth=width, zorder=order, label=_short(name), **_line(row))
    axes.plot(*(100 * share for share in gain_curve(actual, actual)), color=PALE, label="perfect order", zorder=1)
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle=":", label="chance")
    axes.axvline(10, color=PALE, linewidth=1, zorder=1)
    axes.set(xlim=(0, 100), ylim=(0, 101), xlabel="customers taken (%)", ylabel=f"share of all {subject.outcome} (%)")
    axes.legend(loc="lower right", fontsize=9)
    return figure


def decile_plot(actual: ArrayLike, predicted: ArrayLike, *, subject: Subject) -> Figure:
    """Draw the observed outcome of each decile of the prediction with its 95 % interval, and what was predicted."""
    truth, score = _floats(actual), _floats(predicted)
    once = np.ones((1, len(truth)))
    observed, expected = (decile_means(values, score, once)[0] for values in (truth, score))
    low, high = _decile_interval(truth, score, kind=subject.kind)
    lift = observed[0] / truth.mean() if truth.any() else float("nan")
    method = {"probability": "Wilson intervals", "amount": "bootstrap intervals"}[subject.kind]
    figure = _figure(
        f"The top decile has {lift:.1f} times the average {subject.outcome}" if truth.any() else "Nothing was observed",
        f"{_whom(subject, len(truth))} · bars: observed, with 95% {method}",
    )
    axes, deciles = _styled(figure.subplots()), np.arange(1, DECILE_COUNT + 1)
    axes.bar(deciles, observed, color=SKY, width=0.72, label="observed")
    axes.vlines(deciles, low, high, color=INK, linewidth=1.3)
    axes.plot(deciles, expected, color=VERMILLION, marker="D", markersize=5, linewidth=1.2, label="predicted")
    axes.axhline(truth.mean(), color=GREY, linewidth=1, linestyle=":", label="observed, all customers")
    axes.set(xticks=deciles, xlabel="decile of the prediction (1 = highest)", ylabel=_wrapped(subject.observed_label))
    axes.set_ylim(bottom=min(0.0, float(low.min())))
    axes.grid(visible=False, axis="x")
    axes.legend(fontsize=9)
    return figure


def importance_plot(names: Sequence[str], gain: ArrayLike, *, subject: Subject, row_count: int) -> Figure:
    """Draw the features with the largest gain, as shares of the gain of all; at most twenty."""
    gains = _floats(gain)
    shares = 100 * gains / gains.sum() if gains.any() else gains
    top = np.argsort(-shares, kind="stable")[:IMPORTANCE_ROWS]
    figure = _figure(
        f"{names[top[0]]} brings {shares[top[0]]:.0f}% of the gain, the top {len(top)} bring {shares[top].sum():.0f}%",
        f"{_whom(subject, row_count)} · {len(top)} of {len(names)} features",
    )
    axes, rows = _styled(figure.subplots()), np.arange(len(top))
    axes.barh(rows, shares[top], color=BLUE, height=0.7)
    _name_rows(axes, [names[feature] for feature in top])
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
    table, known = _floats(contributions), _floats(values)
    top = np.argsort(-np.abs(table).mean(axis=0), kind="stable")[:SHAP_ROWS]
    drawn = np.sort(np.random.default_rng(seed).permutation(len(table))[:SHAP_POINTS])
    shown = f"{len(top)} of {len(names)} features · each dot a customer, {len(drawn):,} drawn"
    strongest = float(np.abs(table[:, top[0]]).mean())
    figure = _figure(
        f"{names[top[0]]} moves the score most: by {_figure_of(strongest)} {unit} on average",
        f"{_whom(subject, len(table))} · {shown}",
    )
    axes = _styled(figure.subplots())
    axes.axvline(0, color=GREY, linewidth=1, zorder=1)
    for row, feature in enumerate(top):
        _draw_swarm(axes, row, table[drawn, feature], _percentiles(known[drawn, feature]))
    _name_rows(axes, [names[feature] for feature in top])
    axes.set(xlabel=f"contribution to the score ({unit})")
    _draw_percentile_bar(figure, axes)
    return figure


def optimisation_plot(
    trials: pd.DataFrame, *, objective: str, direction: Literal["minimize", "maximize"], subject: Subject
) -> Figure:
    """Draw every trial's objective and the best so far.

    `trials` has columns `number`, `value` and `state` (Optuna's names: COMPLETE, PRUNED, FAIL). Trials far worse than
    the rest are drawn as triangles on the border, so that they do not flatten the others.
    """
    ordered = trials.sort_values("number")
    sign = 1.0 if direction == "minimize" else -1.0
    complete = ordered[(ordered["state"] == "COMPLETE") & ordered["value"].notna()]
    pruned = ordered[(ordered["state"] == "PRUNED") & ordered["value"].notna()]
    counts = ordered["state"].value_counts()
    figure = _figure(
        _best_trial(complete, objective=objective, sign=sign),
        f"{subject.outcome}, {subject.horizon_days}-day horizon · n = {len(ordered):,} trials: "
        + ", ".join(f"{count} {str(state).lower()}" for state, count in counts.items()),
    )
    axes = _styled(figure.subplots())
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="trial (number)", ylabel=f"{objective} ({'lower' if sign > 0 else 'higher'} is better)")
    worst = _worst_drawn(sign * complete["value"].to_numpy(np.float64))
    _draw_trials(axes, pruned, sign=sign, worst=worst, marker="x", color=GREY, label="pruned")
    _draw_trials(axes, complete, sign=sign, worst=worst, marker="o", color=SKY, label="complete")
    if len(complete):
        best = sign * np.minimum.accumulate(sign * complete["value"].to_numpy(np.float64))
        axes.step(complete["number"], best, where="post", color=BLUE, linewidth=2, label="best so far")
        axes.legend(fontsize=9)
    return figure


def metric_comparison_plot(
    metric: Metric, estimates: Mapping[str, Estimate], *, subject: Subject, row_count: int, model: str = "model"
) -> Figure:
    """Draw one metric of the model and its baselines with their 95 % intervals, the best at the top."""
    ordered = sorted(estimates, key=lambda name: _badness(metric, estimates[name].value))
    towards = {"higher": "higher is better", "lower": "lower is better", "one": "nearer to 1 is better"}
    words = metric.name.replace("_", " ")
    figure = _figure(
        f"Best {words}: {ordered[0]}, with {_number(estimates[ordered[0]].value)}",
        f"{_whom(subject, row_count)} · 95% bootstrap intervals · {towards[metric.direction]}",
    )
    axes = _styled(figure.subplots())
    for row, name in enumerate(ordered):
        _draw_estimate(axes, row, estimates[name], is_model=name == model)
    if metric.direction == "one":
        axes.axvline(1, color=INK, linewidth=1, linestyle=":")
    _name_rows(axes, ordered)
    axes.set(xlabel=f"{words} ({metric.unit or towards[metric.direction]})")
    return figure


def _figure(title: str, subtitle: str) -> Figure:
    from matplotlib.figure import Figure

    lines = textwrap.wrap(title, TITLE_CHARACTERS)
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor="white")
    figure.text(0.015, 0.975, "\n".join(lines), va="top", fontsize=12, fontweight="bold", color=INK)
    figure.text(0.015, 0.965 - 0.05 * len(lines), subtitle, va="top", fontsize=8.5, color=GREY)
    figure.set_layout_engine("constrained", rect=(0.005, 0.005, 0.985, 0.92 - 0.05 * len(lines)))
    return figure


def _gain_title(first_tenth: Mapping[str, float], *, subject: Subject) -> str:
    """Say what the first tenth holds; the first name is the model, the others are its baselines."""
    (model, share), *others = first_tenth.items()
    if np.isnan(share):
        return f"No {subject.outcome} was observed"
    best = f"; best baseline {100 * max(other for _, other in others):.1f}%" if others else ""
    return f"The top 10% by {model} hold {100 * share:.1f}% of all {subject.outcome}{best}"


def _styled(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=9.5, color=INK)
    return axes


def _line(row: int) -> dict[str, Any]:
    """Choose colour and dashes of one series of several: never by colour alone."""
    return {"color": SERIES[row % len(SERIES)], "linestyle": LINES[row % len(LINES)]}


def _figure_of(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"  # noqa: PLR2004 - no powers of ten in a title


def _whom(subject: Subject, row_count: int) -> str:
    return f"{subject.outcome}, {subject.horizon_days}-day horizon · n = {row_count:,} customer-cutoffs"


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, np.float64)


def _wrapped(label: str) -> str:
    """Break a label that would be longer than its axis is high."""
    return textwrap.fill(label, NAME_CHARACTERS)


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Label horizontal rows, the first at the top."""
    axes.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=8.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


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
    axes.vlines(expected, low, high, linewidth=1.2, alpha=0.7, color=_line(row)["color"])
    axes.plot(expected, rate, marker=MARKERS[row % len(MARKERS)], label=_short(name), zorder=4 - row, **_line(row))
    return float(max(score.max(), high.max()))


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


def _best_trial(complete: pd.DataFrame, *, objective: str, sign: float) -> str:
    if complete.empty:
        return "No trial was completed"
    best = complete.loc[(sign * complete["value"]).idxmin()]
    return f"Best {objective} {best['value']:.4g}, found in trial {int(best['number'])}"


def _worst_drawn(losses: Floats) -> float:
    """Find the loss beyond which a trial goes to the border: three times as far from the best as most trials are."""
    if not len(losses):
        return float("inf")
    most = np.quantile(losses, 0.75)
    return float(most + 3 * (most - losses.min()))


def _draw_trials(axes: Axes, trials: pd.DataFrame, *, sign: float, worst: float, label: str, **style: str) -> None:
    losses = sign * trials["value"].to_numpy(np.float64)
    number, beyond = trials["number"].to_numpy(), losses > worst
    if len(losses):
        axes.scatter(number[~beyond], sign * losses[~beyond], s=24, label=label, **style)
    if beyond.any():
        border = np.full(beyond.sum(), sign * worst)
        style["marker"] = "^" if sign > 0 else "v"
        axes.scatter(number[beyond], border, s=30, label=f"{label}, worse than drawn", **style)


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
