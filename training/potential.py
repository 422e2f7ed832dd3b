"""Whether customers with potential do out-grow others of equal spend: measured on the test cutoff, or not shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.parts import Floats
from scoring.potential import Potential
from training.metrics import Estimate, bootstrap_blocks
from training.metrics.bootstrap import summary

LEAST_FLAGGED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What flagged customers spent beside others of equal spend so far: how many they are, and both means.

    `ratio` is the first mean over the second; each customer of the second counts as often as the flagged ones of their
    band ask for.
    """

    flagged: int
    others: int
    mean_flagged: float
    mean_others: float
    ratio: Estimate

    @property
    def holds(self) -> bool:
        """Return whether they out-grow the others beyond noise."""
        return self.ratio.low > 1

    def __str__(self) -> str:
        return (
            f"{self.flagged} customers with potential spent {self.mean_flagged:,.2f} on average, {self.others} others "
            f"of equal spend so far {self.mean_others:,.2f}: {self.ratio:.2f} times as much"
        )

    def told(self) -> Mapping[str, object]:
        """Return it as a report holds it."""
        return {"said": str(self), "holds": self.holds, "ratio": self.ratio.value, "flagged": self.flagged}


def measure_growth(
    potential: Potential, spend: Floats, actual: Floats, predicted: Floats, *, draws: int, seed: int
) -> Growth | None:
    """Measure on later rows whether those flagged spent more than others of their band; None where too few are."""
    flags, band = potential.flags(spend, predicted), potential.band_of(spend)
    others = (band >= 0) & ~flags
    if flags.sum() < LEAST_FLAGGED or others.sum() < LEAST_FLAGGED:
        return None
    sample = np.ones((1, len(actual)), np.float32)
    blocks = [sample, *bootstrap_blocks(len(actual), draws=draws, seed=seed)]
    means = np.concatenate([_means(weights, actual, flags, others, band) for weights in blocks])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = summary(means[:, 0] / means[:, 1])
    return Growth(
        flagged=int(flags.sum()),
        others=int(others.sum()),
        mean_flagged=float(means[0, 0]),
        mean_others=float(means[0, 1]),
        ratio=ratio,
    )


def _means(
    weights: NDArray[np.floating],
    actual: Floats,
    flags: NDArray[np.bool_],
    others: NDArray[np.bool_],
    band: NDArray[np.intp],
) -> Floats:
    """Return (draws, 2): what the flagged spent, and the others of their bands, by as many."""
    flagged_sum, flagged_count, others_sum = (np.zeros(len(weights)) for _ in range(3))
    for number in range(int(band.max()) + 1):
        of_band = band == number
        mine, theirs = flags & of_band, others & of_band
        count, base = weights[:, mine].sum(axis=1), weights[:, theirs].sum(axis=1)
        usual = np.divide(weights[:, theirs] @ actual[theirs], base, out=np.zeros(len(weights)), where=base > 0)
        counted = np.where(base > 0, count, 0.0)  # without others there is nothing to compare them with
        flagged_sum += np.where(base > 0, weights[:, mine] @ actual[mine], 0.0)
        flagged_count += counted
        others_sum += usual * counted
    means: Floats = np.stack([flagged_sum, others_sum], axis=1) / np.maximum(flagged_count, 1.0)[:, None]
    return means
