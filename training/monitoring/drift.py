"""How far a distribution has moved: the population stability index, with "not known" as a value of its own.

References
----------
Siddiqi (2006), "Credit risk scorecards", chapter 8: the index, and 0.1 and 0.25 as its customary limits.
Yurdakul & Naranjo (2020), "Statistical properties of the population stability index": its distribution under no drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.metrics import Floats

TENTHS = np.arange(0.1, 1.0, 0.1)
_ATOM_SHARE = 0.05  # a single value that so many rows have is a cell of its own: zeros, mostly
_NOISE_QUANTILE = 0.999
_HALF_A_ROW = 0.5  # added to every cell, so that an empty one does not make the index infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What is no longer usual: above it is an alarm.

    Parameters
    ----------
    feature_psi, score_psi
        The population stability index from which a feature, and the score, has drifted.
    drifted_share
        The share of the model's gain that features which have drifted may bring, in [0, 1]. What a model does not go
        by may drift: tenure and the days on record do in every young shop.
    tolerated_loss
        How much worse than promised a metric may be, as a share of the promised value: with very many customers every
        season is another beyond noise.
    least_customers
        Of how many customers the outcome must be known before performance is judged.
    """

    feature_psi: float = 0.25
    score_psi: float = 0.25
    drifted_share: float = 0.5
    tolerated_loss: float = 0.02
    least_customers: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """How far one column has moved, and what can be seen of it: medians, and shares of rows that are not known.

    `limit` is the threshold, or what chance alone may reach between samples of these sizes where that is more.
    """

    name: str
    psi: float
    limit: float
    reference_median: float
    today_median: float
    reference_missing_rate: float
    today_missing_rate: float

    @property
    def is_drifted(self) -> bool:
        """Return whether it has moved beyond the limit."""
        return self.psi > self.limit


def drift_of(name: str, reference: Floats, today: Floats, *, threshold: float) -> FeatureDrift:
    """Compare one column of the reference with the same of today; missing is NaN, both have rows."""
    psi, noise = population_stability(reference, today)
    return FeatureDrift(
        name=name,
        psi=psi,
        limit=max(threshold, noise),
        reference_median=_median(reference),
        today_median=_median(today),
        reference_missing_rate=float(np.isnan(reference).mean()),
        today_missing_rate=float(np.isnan(today).mean()),
    )


def drift_table(
    names: Sequence[str], reference: NDArray[np.float32], today: NDArray[np.float32], *, threshold: float
) -> tuple[FeatureDrift, ...]:
    """Compare every column of two (rows, features) matrices; the one that moved furthest first."""
    compared = [
        drift_of(name, reference[:, place].astype(float), today[:, place].astype(float), threshold=threshold)
        for place, name in enumerate(names)
    ]
    return tuple(sorted(compared, key=lambda drift: (-drift.psi, drift.name)))


def population_stability(reference: Floats, today: Floats) -> tuple[float, float]:
    """Return the index, and what it stays below 999 times in 1,000 where nothing has moved and rows are independent.

    Cells are tenths of the reference, values that many rows share, and missing. Rows of one customer at several
    cutoffs are not independent: of those chance reaches somewhat further.
    """
    from scipy.stats import chi2

    cells_of = _Cells.of(reference)
    placed, placed_today = cells_of.place(reference), cells_of.place(today)
    count = int(max(placed.max(), placed_today.max())) + 1
    cells, cells_today = (np.bincount(rows, minlength=count) for rows in (placed, placed_today))
    used = (cells + cells_today) > 0
    share, share_today = (_share(counted[used]) for counted in (cells, cells_today))
    psi = float(((share_today - share) * np.log(share_today / share)).sum())
    noise = chi2.ppf(_NOISE_QUANTILE, max(1, used.sum() - 1)) * (1 / len(reference) + 1 / len(today))
    return psi, float(noise)


def as_frame(drifts: Sequence[FeatureDrift]) -> pd.DataFrame:
    """Return one row per feature: what was compared, and `is_drifted`."""
    rows: list[Mapping[str, object]] = [asdict(drift) | {"is_drifted": drift.is_drifted} for drift in drifts]
    return pd.DataFrame(rows)


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of a reference: between its tenths, and the tenths themselves where they are atoms."""

    edges: Floats
    atoms: Floats

    @classmethod
    def of(cls, reference: Floats) -> _Cells:
        known = reference[~np.isnan(reference)]
        edges = np.unique(np.quantile(known, TENTHS, method="inverted_cdf")) if len(known) else np.empty(0)
        is_atom = np.array([(known == edge).mean() >= _ATOM_SHARE for edge in edges], dtype=bool)
        return cls(edges, edges[is_atom])

    def place(self, values: Floats) -> NDArray[np.intp]:
        """Return the number of every value's cell; the last one is of the missing."""
        placed = np.searchsorted(self.edges, values, side="left") + np.searchsorted(self.atoms, values, side="right")
        return np.where(np.isnan(values), len(self.edges) + len(self.atoms) + 1, placed)


def _share(counted: NDArray[np.intp]) -> Floats:
    smoothed = counted + _HALF_A_ROW
    share: Floats = smoothed / smoothed.sum()
    return share


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
