"""What a model says beside its score: whether its interval covers, and whether its means add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scoring.parts import Figures, Floats
from training.metrics import COVERAGE, INSIDE, Estimate, estimate_all, estimate_interval

ACCEPTED_COVERAGE = (0.75, 0.85)
MEAN_TOTAL, ACCEPTED_TOTAL = "mean_total_ratio", (0.75, 1.33)  # a season may do as much


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


def uncovered(interval: Mapping[str, Estimate]) -> str | None:
    """Return why an interval cannot be taken at its word, None where it can."""
    if COVERAGE not in interval:
        return None
    covered, inside, (least, most) = interval[COVERAGE], interval[INSIDE], ACCEPTED_COVERAGE
    # Where an end is what many customers do (spend nothing), right quantiles hold more than 80 % with it, less without.
    if covered.high >= least and inside.low <= most:
        return None
    wrong = covered if covered.high < least else inside
    return (
        f"its 80 % interval covers {wrong.value:.0%} (95 % {wrong.low:.0%} to {wrong.high:.0%}), "
        f"{least:.0%} to {most:.0%} is accepted"
    )


def wrong_in_total(measured: Mapping[str, Estimate]) -> str | None:
    """Return why means cannot be summed, None where they can."""
    total, (least, most) = measured.get(MEAN_TOTAL), ACCEPTED_TOTAL
    if total is None or (total.high >= least and total.low <= most):
        return None
    return (
        f"the sum of its means is {total.value:.0%} of what all spent (95 % {total.low:.0%} to {total.high:.0%}), "
        f"{least:.0%} to {most:.0%} is accepted"
    )


def accepted_beside(measured: Mapping[str, Estimate]) -> tuple[str, ...]:
    """Say how intervals cover, and what means add up to, that can be taken at their word."""
    said = []
    if COVERAGE in measured:
        covered, inside, (least, most) = measured[COVERAGE], measured[INSIDE], ACCEPTED_COVERAGE
        said.append(
            f"its 80 % interval covers {covered.value:.0%} with its ends (from {least:.0%} on is accepted) and "
            f"{inside.value:.0%} without (up to {most:.0%})"
        )
    if MEAN_TOTAL in measured:
        least, most = ACCEPTED_TOTAL
        share = measured[MEAN_TOTAL].value
        said.append(f"the sum of its means is {share:.0%} of what all spent, {least:.0%} to {most:.0%} is accepted")
    return tuple(said)
