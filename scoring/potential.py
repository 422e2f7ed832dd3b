"""Customers with more to come: who spent little so far and is expected to spend far more than others who did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPEND = "spend_amount_365d"
SHARE_OF_SPENDERS = 0.5  # little is what the lower half spent
SHARE_FLAGGED = 0.1  # far more is what a tenth of those of equal spend are expected to


@dataclass(frozen=True, slots=True, kw_only=True)
class Potential:
    """What is usual among customers of equal spend, learned at the last training cutoff.

    Parameters
    ----------
    feature
        The spend so far.
    borders
        (bands + 1,) limits of the bands of equal spend, the lower half of the customers only; a band holds its upper
        limit.
    typical, least
        (bands,) the median of the predicted amounts in each band, and the amount from which a customer is flagged.
    """

    feature: str
    borders: tuple[float, ...]
    typical: tuple[float, ...]
    least: tuple[float, ...]

    def band_of(self, spend: NDArray[np.floating]) -> NDArray[np.intp]:
        """Return the band of each customer's spend, -1 for those who spent more than little."""
        band = np.clip(np.searchsorted(self.borders, spend, side="left") - 1, 0, None)
        return np.where(np.nan_to_num(spend, nan=np.inf) <= self.borders[-1], band, -1)

    def flags(self, spend: NDArray[np.floating], predicted: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which customers spent little so far and are expected to spend far more than others who did."""
        band = self.band_of(spend)
        least, typical = np.asarray(self.least)[band], np.asarray(self.typical)[band]
        # Where most of a band are expected to spend the same, such as nothing, they have no more to come.
        return (band >= 0) & (predicted >= least) & (predicted > typical)


def fit_potential(
    feature: str, spend: NDArray[np.floating], predicted: NDArray[np.float64], *, bands: int = 5, least_rows: int = 20
) -> Potential | None:
    """Learn what is usual; None where too few customers spent little, or all that they spent is the same."""
    known = ~np.isnan(spend)
    spend, predicted = spend[known].astype(np.float64), predicted[known]
    if not len(spend):
        return None
    borders = np.unique(np.quantile(spend, np.linspace(0, SHARE_OF_SPENDERS, bands + 1)))
    found = Potential(feature=feature, borders=tuple(borders.tolist()), typical=(), least=())
    band = found.band_of(spend)
    held = [predicted[band == number] for number in range(len(borders) - 1)]
    if not held or min(map(len, held)) < least_rows:
        return None
    return Potential(
        feature=feature,
        borders=found.borders,
        typical=tuple(float(np.median(amounts)) for amounts in held),
        least=tuple(float(np.quantile(amounts, 1 - SHARE_FLAGGED)) for amounts in held),
    )
