"""The search: every trial, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from training.plots.canvas import BLUE, GREY, SKY, Subject, new_figure, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.metrics import Floats


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
    figure = new_figure(
        _best_trial(complete, objective=objective, sign=sign),
        f"{subject.outcome}, {subject.horizon_days}-day horizon · n = {len(ordered):,} trials: "
        + ", ".join(f"{count} {str(state).lower()}" for state, count in counts.items()),
    )
    axes = styled(figure.subplots())
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
