"""From a short horizon to a long one, by the project's own BG/NBD of all customers at the cutoff.

Where the record is too short for labels as long as the question, every model that learns from labels is stretched in
the same way: one number for the whole shop, so that its order of the customers stays its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from benchmarks.models.histories import AGE, FREQUENCY, RECENCY
from features.bg_nbd import BgNbd, alive_probability, expected_orders, fit
from scoring.parts import Kind
from training.fitting import Floats

CERTAIN = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Histories:
    """Customers as BG/NBD asks for them, and its parameters."""

    params: BgNbd
    rows: pd.DataFrame

    @classmethod
    def fitted(cls, known: pd.DataFrame) -> BgNbd:
        """Fit the parameters to every customer."""
        return fit(known[FREQUENCY], known[RECENCY], known[AGE])

    def orders(self, days: float) -> Floats:
        """Return the visit-days to expect of each."""
        return expected_orders(self.params, *self._columns, horizon_days=days)

    def any_order(self, days: float) -> Floats:
        """Return the probability of at least one visit-day of each.

        Who is there orders at a rate that is gamma(r + x, alpha + age), and cannot leave before ordering.
        """
        frequency, _recency, age = self._columns
        alpha = self.params.alpha * self.params.unit_days
        silent = ((alpha + age) / (alpha + age + days)) ** (self.params.r + frequency)
        return alive_probability(self.params, *self._columns) * (1 - silent)

    @property
    def _columns(self) -> tuple[Floats, Floats, Floats]:
        frequency, recency, age = (self.rows[name].to_numpy(np.float64) for name in (FREQUENCY, RECENCY, AGE))
        return frequency, recency, age


def stretched(said: Floats, known: pd.DataFrame, kind: Kind, *, from_days: float, to_days: float) -> Floats:
    """Stretch predictions by one number: of amounts a factor, of probabilities a power of that of staying away."""
    everyone = Histories(Histories.fitted(known), known)
    if kind == "amount":
        return said * (everyone.orders(to_days).sum() / everyone.orders(from_days).sum())
    near, far = everyone.any_order(from_days), everyone.any_order(to_days)
    power = brentq(lambda g: (1 - (1 - near) ** g).mean() - far.mean(), 1e-3, 1e3)
    return np.asarray(1 - (1 - np.minimum(said, CERTAIN)) ** power)


def stretched_each(
    said: Floats, rows: pd.DataFrame, known: pd.DataFrame, kind: Kind, *, from_days: float, to_days: float
) -> Floats:
    """Stretch each customer's prediction as BG/NBD stretches its own for that customer."""
    asked = Histories(Histories.fitted(known), rows)
    if kind == "amount":
        return said * asked.orders(to_days) / asked.orders(from_days)
    near, far = (np.minimum(asked.any_order(days), CERTAIN) for days in (from_days, to_days))
    return np.asarray(1 - (1 - np.minimum(said, CERTAIN)) ** (np.log1p(-far) / np.log1p(-near)))
