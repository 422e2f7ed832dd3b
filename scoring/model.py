"""A trained model: its boosters, its calibration, and what must hold of the features that it is given.

It imports nothing of this project but its own room, so that MLflow can carry this folder with the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scoring import trees
from scoring.parts import (
    MEAN_IN_AMOUNT,
    QUANTILES,
    SWANSON,
    Calibration,
    Figures,
    Floats,
    Gate,
    Kind,
    Quantiles,
    RawScale,
    Rows,
    Windows,
)
from scoring.potential import Potential

if TYPE_CHECKING:
    import pandas as pd
    import xgboost

_MEDIAN = QUANTILES.index(0.5)
_ROUNDED = 1 / 1440  # days: less than a minute
_MANY_ROWS = 1000  # below this, waking the other threads costs more than they save


class UnusableModel(Exception):  # noqa: N818 - reads as the sentence it prints
    """Model files that cannot be read, or features that are not the model's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskModel:
    """One task's model. `version` is the registry's, once it has one.

    Parameters
    ----------
    booster
        What the score comes from: a probability, an amount, or the days until something happens.
    buys
        Of a two-part model, the probability that there is any amount at all, which the booster's is multiplied by.
    quantiles
        The interval of an amount or of days; the score of days is their median.
    potential
        Of an amount, who is flagged as a customer with more to come; only where they were seen to out-grow others.
    """

    task: str
    kind: Kind
    horizon_days: int
    features: tuple[str, ...]
    feature_hash: str
    gate: Gate
    calibration: Calibration
    currency: str | None = None
    version: str = ""
    windows: Windows | None = None
    booster: xgboost.Booster = field(repr=False, compare=False)
    buys: xgboost.Booster | None = field(default=None, repr=False, compare=False)
    quantiles: Quantiles | None = None
    potential: Potential | None = None

    @property
    def registered_name(self) -> str:
        """Return the name of the model in the registry and of its feature service."""
        return f"regulars-{self.task}"

    @property
    def label(self) -> str:
        """Return name and version as answers show them."""
        return f"{self.registered_name}/{self.version}" if self.version else self.registered_name

    @property
    def boosters(self) -> Iterator[xgboost.Booster]:
        """Every booster of the model."""
        held = (self.booster, self.buys, self.quantiles and self.quantiles.booster)
        return iter({id(booster): booster for booster in held if booster is not None}.values())

    def with_version(self, version: str) -> TaskModel:
        """Return the same model under a registered version."""
        return replace(self, version=version)

    def figures(self, matrix: Rows) -> Figures:
        """Return all that is said of rows of features in the model's order, missing as NaN.

        Raises
        ------
        UnusableModel
            The rows do not have the model's number of features.
        """
        whole = self._whole(matrix)
        interval = None if self.quantiles is None else np.clip(self.quantiles.predict(whole), 0.0, self._most)
        if interval is not None and self.kind == "days":  # a horizon that was rounded is the horizon
            interval = np.where(interval > self._most - _ROUNDED, self._most, interval)
        if self.kind == "days" and interval is not None:
            return Figures(score=interval[:, _MEDIAN], interval=interval)
        raw = trees.figures(self.booster, whole)[:, 0]
        if self.buys is not None:
            raw = raw * trees.figures(self.buys, whole)[:, 0]
        score = np.clip(self.calibration.apply(raw), 0.0, self._most)
        if interval is None:
            return Figures(score=score)
        low, middle, high = interval.T
        # Not a dot product: a row alone is what it is in a crowd, to the bit.
        mean = SWANSON[0] * low + SWANSON[1] * middle + SWANSON[2] * high
        score = (1 - MEAN_IN_AMOUNT) * score + MEAN_IN_AMOUNT * mean
        found = Figures(score=score, interval=interval, mean=mean)
        if self.potential is None:
            return found
        spend = whole[:, self.features.index(self.potential.feature)].astype(np.float64)
        return replace(found, spend_so_far=spend)

    def score(self, matrix: Rows) -> Floats:
        """Score rows of features in the model's order, missing as NaN.

        Returns
        -------
        (n,) probabilities in [0, 1], amounts of at least 0 in the shop's currency, or days in [0, horizon].

        Raises
        ------
        UnusableModel
            The rows do not have the model's number of features.
        """
        return self.figures(matrix).score

    def flagged(self, figures: Figures) -> NDArray[np.bool_]:
        """Return (n,) which rows are customers with more to come, by what was said of them."""
        if self.potential is None or figures.spend_so_far is None:
            return np.zeros(len(figures.score), dtype=bool)
        return self.potential.flags(figures.spend_so_far, figures.score)

    @property
    def raw_scale(self) -> RawScale:
        """Return what the contributions add up to: the score before link, calibration and the mean in an amount."""
        if self.kind == "probability":
            return "log_odds"
        if self.kind == "days" and self.quantiles is not None:
            return "log1p" if self.quantiles.link == "minus_log1p" else self.quantiles.link
        return "log" if self.buys is not None or trees.trees_of(self.booster).is_of_logarithm else "identity"

    @property
    def gain_shares(self) -> dict[str, float]:
        """Return how much of the gain of the score's booster each feature brings, in [0, 1]."""
        return trees.gain_shares(self.booster, self.features)

    def contributions(self, matrix: Rows) -> tuple[Floats, Floats]:
        """Return (n, features) TreeSHAP values, and the (n,) base that they start from: the sum is on the raw scale.

        Of a two-part model they are of the logarithm of the product: the parts that the features have in the log-odds
        of any amount are scaled to the logarithm of its probability. Of days they are of the median.

        References
        ----------
        Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for trees".
        """
        whole = self._whole(matrix)
        parts, base = shap_values(self.booster, whole)
        if self.buys is not None:
            odds, mean_odds = shap_values(self.buys, whole)
            total = odds.sum(axis=1, keepdims=True)
            start = -np.logaddexp(0, -mean_odds)
            log_ratio = -np.logaddexp(0, -(mean_odds + total)) - start
            slope = np.divide(log_ratio, total, out=np.ones_like(total), where=np.abs(total) > _NO_DIFFERENCE)
            parts, base = parts + odds * slope, base + start
        if self.kind == "days" and self.quantiles is not None:
            base = base + self.quantiles.shifts[_MEDIAN]
            if self.quantiles.link == "minus_log1p":
                parts, base = -parts, -base
        return parts, base[:, 0]

    @property
    def _most(self) -> float:
        return {"probability": 1.0, "amount": np.inf, "days": float(self.horizon_days)}[self.kind]

    def _whole(self, matrix: Rows) -> Rows:
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):  # noqa: PLR2004
            found = f"{matrix.shape[-1]} features given"
            raise UnusableModel(f"{self.label} needs {len(self.features)} features in its order, {found}")
        rows = np.ascontiguousarray(matrix, dtype=np.float32)
        return self.windows.whole(rows) if self.windows else rows


def score_frame(model: TaskModel, matrix: Rows) -> pd.DataFrame:
    """Return the figures of rows as a frame, by `Figures.named`."""
    import pandas as pd

    return pd.DataFrame(model.figures(matrix).named(model.kind))


_NO_DIFFERENCE = 1e-9


def shap_values(booster: xgboost.Booster, whole: Rows) -> tuple[Floats, Floats]:
    """Return a booster's TreeSHAP values, (n, features), and the mean they start from, (n, 1).

    Of quantiles they are the median's.
    """
    import xgboost

    rows = xgboost.DMatrix(whole, nthread=1 if len(whole) < _MANY_ROWS else None)
    values = booster.predict(rows, pred_contribs=True).astype(np.float64)
    if values.ndim == 3:  # noqa: PLR2004 - rows, outputs, features
        values = values[:, _MEDIAN]
    return values[:, :-1], values[:, -1:]
