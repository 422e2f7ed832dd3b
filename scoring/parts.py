"""What a trained model is made of beside its boosters, and the figures that it gives.

It imports nothing of this project but its own room, so that MLflow can carry this folder with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scoring import trees

if TYPE_CHECKING:
    from collections.abc import Callable

    import xgboost

Kind: TypeAlias = Literal["probability", "amount", "days"]
Link: TypeAlias = Literal["identity", "log", "log1p", "minus_log1p"]
RawScale: TypeAlias = Literal["log_odds", "identity", "log", "log1p"]
Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.float32]

QUANTILES, QUANTILE_NAMES = (0.1, 0.5, 0.9), ("p10", "p50", "p90")
SWANSON = (0.3, 0.4, 0.3)  # of p10, p50 and p90 to their mean
MEAN_IN_AMOUNT = 0.05  # where most spend nothing, what is least wrong is nothing: a little of the mean orders them
INVERSE: Mapping[Link, Callable[[Floats], Floats]] = {
    "identity": lambda x: x,
    "log": np.exp,
    "log1p": np.expm1,
    "minus_log1p": lambda x: np.expm1(-x),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A monotone map from raw score to calibrated score: straight lines between knots, level beyond the ends."""

    method: str
    raw: tuple[float, ...] = ()
    calibrated: tuple[float, ...] = ()

    def apply(self, scores: Floats) -> Floats:
        """Return calibrated scores; without knots the raw ones."""
        return np.interp(scores, self.raw, self.calibrated) if self.raw else scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whom the model can answer for: customers whose `feature` is at least so much; the others it never saw."""

    feature: str
    at_least: float
    said: str

    def __str__(self) -> str:
        return f"{self.said}: needed at least {self.at_least:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """What a young shop's windows hold, stretched to what whole ones would.

    A sum over 365 days of a shop with 200 days on record is the sum over 200; a model that learned from such rows would
    take next year's whole sums for other customers. The days on record only stretch: no booster sees them.

    Parameters
    ----------
    record
        The column of the days on record.
    columns, window_days, over_days
        The columns that are stretched, the window of each, and of a ratio the window of what it is over (else 0).
    """

    record: int
    columns: tuple[int, ...] = ()
    window_days: tuple[float, ...] = ()
    over_days: tuple[float, ...] = ()

    def whole(self, matrix: Rows) -> Rows:
        """Return the rows as whole windows would have them, the days on record as missing."""
        known = np.maximum(matrix[:, self.record], 1.0)
        if (known == known[:1]).all():  # rows of one cutoff, as a rule
            stretched = matrix * self._factors(known[:1], matrix.shape[1])
        else:
            values, place = np.unique(known, return_inverse=True)
            stretched = matrix * self._factors(values, matrix.shape[1])[place]
        stretched[:, self.record] = np.nan
        return stretched

    def _factors(self, known: Rows, width: int) -> Rows:
        """Return (values, width) by what each column is multiplied where so many days are on record."""
        factors = np.ones((len(known), width), np.float32)
        if self.columns:
            days, whole, over = known[:, None], *(np.asarray(w, np.float32) for w in (self.window_days, self.over_days))
            # Where the days are not known, fmin takes the window, and nothing is stretched.
            stretch = whole / np.fmin(whole, days)
            squeeze = np.where(over > 0, over / np.fmin(np.fmax(over, 1.0), days), 1.0)
            factors[:, list(self.columns)] = (stretch / squeeze).astype(np.float32)
        return factors


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """p10, p50 and p90: those of a booster, each moved so that it held on held-out time (split conformal).

    Parameters
    ----------
    booster
        One output for each of `QUANTILES`, or one for all (an accelerated failure time model says where the middle is).
    link
        What the boosters' outputs are of the label.
    shifts
        What is added to each output, before the link.

    References
    ----------
    Romano, Patterson & Candès (2019), "Conformalized quantile regression".
    """

    booster: xgboost.Booster = field(repr=False, compare=False)
    link: Link
    shifts: tuple[float, float, float]

    def predict(self, whole: Rows) -> Floats:
        """Return (n, 3) quantiles of the label, in order."""
        moved = trees.margins(self.booster, whole) + np.array(self.shifts)
        return np.sort(INVERSE[self.link](moved), axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a model says of some rows.

    Parameters
    ----------
    score
        (n,) probabilities in [0, 1], amounts of at least 0 in the shop's currency, or days in [0, horizon]. An amount
        is the one that is least wrong in a customer, with a twentieth of the mean in it; where many spend nothing its
        sum is far below what all spend.
    interval
        (n, 3) p10, p50 and p90 of the label, of which 80 % lie from the first to the last; days at the horizon mean:
        not within it, if ever.
    mean
        (n,) of an amount, what such customers spend on average, to be summed: Swanson's 30-40-30 rule.
    spend_so_far
        (n,) what `potential` goes by: the spend, stretched to a whole window where the record is young.

    References
    ----------
    Hurst, Brown & Swanson (2000), "Swanson's 30-40-30 rule".
    """

    score: Floats
    interval: Floats | None = None
    mean: Floats | None = None
    spend_so_far: Floats | None = None

    def named(self, kind: Kind) -> dict[str, Floats]:
        """Return the columns of a table: the score by the name of its kind, p10, p50 and p90, an amount's mean."""
        named: dict[str, Floats] = {kind: self.score}
        if self.interval is not None:
            named |= dict(zip(QUANTILE_NAMES, self.interval.T, strict=True))
        return named if self.mean is None else named | {"mean": self.mean}

    def among(self, asked: NDArray[np.bool_]) -> Figures:
        """Return the figures as those of the rows that are `True`, NaN for the others."""

        def spread(known: Floats | None) -> Floats | None:
            if known is None:
                return None
            found = np.full((len(asked), *known.shape[1:]), np.nan)
            found[asked] = known
            return found

        return Figures(**{part.name: spread(getattr(self, part.name)) for part in fields(self)})  # type: ignore[arg-type]
