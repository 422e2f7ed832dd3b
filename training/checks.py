"""What a model must keep beside winning: probabilities, intervals and sums that can be taken at their word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.parts import Figures, Floats
from training.metrics import CALIBRATION_ERROR, COVERAGE, INSIDE, Estimate, estimate_all, estimate_interval

LARGEST_CALIBRATION_ERROR = 0.05  # beyond what chance makes of perfect probabilities
ACCEPTED_COVERAGE = (0.75, 0.85)
MEAN_TOTAL, ACCEPTED_TOTAL = "mean_total_ratio", (0.75, 1.33)  # a season may do as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, what is accepted, and whether it holds."""

    said: str
    holds: bool

    def __str__(self) -> str:
        return f"{self.said}: {'holds' if self.holds else 'fails'}"


def measure_beside(
    actual: Floats, figures: Figures, *, draws: int, seed: int, clusters: Sequence[object] | None = None
) -> dict[str, Estimate]:
    """Measure what a model says beside its score, of probabilities nothing: the interval, and of amounts the means.

    `clusters` is as for `estimate_all`.
    """
    if figures.interval is None:
        return {}
    measured = estimate_interval(actual, figures.interval, draws=draws, seed=seed, clusters=clusters)
    if figures.mean is None:
        return measured
    means = {MEAN_TOTAL: figures.mean}
    of_mean = estimate_all("amount", actual, means, draws=draws, seed=seed, clusters=clusters)[MEAN_TOTAL]
    return measured | {MEAN_TOTAL: of_mean["total_ratio"], "mean_rmse": of_mean["rmse"]}


def check_all(measured: Mapping[str, Estimate], *, calibration_by_chance: float | None) -> tuple[Check, ...]:
    """Check what was measured of a model: whether it is calibrated, its interval covers, its means can be summed.

    Parameters
    ----------
    measured
        By metric, those of its score and those of `measure_beside`. What was not measured is not looked at.
    calibration_by_chance
        The calibration error that chance makes of perfect probabilities; None of other scores.
    """
    checks = []
    if calibration_by_chance is not None:
        error, most = measured[CALIBRATION_ERROR].value, LARGEST_CALIBRATION_ERROR + calibration_by_chance
        said = f"{error:.3f} off on average, up to {most:.3f} is accepted, {calibration_by_chance:.3f} as chance"
        checks.append(Check(said=f"its probabilities are {said}", holds=error <= most))
    if COVERAGE in measured:
        covered, inside, (least, most) = measured[COVERAGE], measured[INSIDE], ACCEPTED_COVERAGE
        said = f"{covered:.0%} with its ends, from {least:.0%} is accepted, and {inside:.0%} without, up to {most:.0%}"
        # Where many spend nothing and an end says so, right quantiles hold more than 80 % with it and less without.
        checks.append(
            Check(said=f"its 80 % interval covers {said}", holds=covered.high >= least and inside.low <= most)
        )
    if MEAN_TOTAL in measured and np.isfinite(measured[MEAN_TOTAL].value):  # it is not, where nobody spent anything
        total, (least, most) = measured[MEAN_TOTAL], ACCEPTED_TOTAL
        said = f"{total:.0%} of what all spent, {least:.0%} to {most:.0%} is accepted"
        checks.append(Check(said=f"the sum of its means is {said}", holds=total.high >= least and total.low <= most))
    return tuple(checks)
