"""BG/NBD over a snapshot: fitted on every customer of a cutoff, then asked about each.

It looks at three of the snapshot's own features, so it does not matter which engine made them. The parameters are kept
with the snapshot: customers who are computed anew later are asked the same model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from features.bg_nbd import BgNbd, CannotFit, alive_probability, expected_orders, fit
from features.catalog import Feature
from features.measures import BuyTillYouDie

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUTS = ("visit_count", "order_recency_days", "customer_tenure_days")
SHORTEST_DAYS = 1e-3  # between two visit-days: seconds around a midnight are lost in the single precision of years


class Lifetimes(NamedTuple):
    """The histories of a cutoff's customers: repeat visit-days, days from the first order to the last and to now."""

    frequency: NDArray[np.float64]
    recency: NDArray[np.float64]
    age: NDArray[np.float64]

    @classmethod
    def of(cls, rows: pa.Table) -> Lifetimes:
        """Read them from a snapshot's columns."""
        visits, since_last, age = (rows[name].to_numpy().astype(np.float64) for name in INPUTS)
        repeats = np.maximum(visits - 1, 0)
        return cls(repeats, np.where(repeats > 0, np.maximum(age - since_last, SHORTEST_DAYS), 0.0), age)

    def where(self, mask: NDArray[np.bool_]) -> Lifetimes:
        """Return some of them."""
        return Lifetimes(*(figures[mask] for figures in self))


def fit_parameters(rows: pa.Table) -> BgNbd | str:
    """Return the parameters of a cutoff, or why there are none."""
    lifetimes = Lifetimes.of(rows)
    bought = lifetimes.where(lifetimes.age >= 0)  # a customer whose orders were all cancelled has no age
    try:
        with threadpool_limits(1):  # on matrices this small, threads of the algebra library only wait for each other
            return fit(bought.frequency, bought.recency, bought.age)
    except CannotFit as reason:
        return str(reason)


def with_lifetime(rows: pa.Table, features: Sequence[Feature], parameters: Mapping[str, Any] | None) -> pa.Table:
    """Add what the model says of every row as float32 columns, missing where no model could be fitted."""
    params = BgNbd.from_json(parameters) if parameters else None
    lifetimes = Lifetimes.of(rows)
    is_bought = lifetimes.age >= 0
    for feature in features:
        if isinstance(feature.measure, BuyTillYouDie):
            said = np.full(len(rows), np.nan)
            if params:
                said[is_bought] = _ask(feature.measure, params, lifetimes.where(is_bought))
            rows = rows.append_column(feature.name, pa.array(said.astype(np.float32), from_pandas=True))
    return rows


def _ask(measure: BuyTillYouDie, params: BgNbd, known: Lifetimes) -> NDArray[np.float64]:
    if measure.which == "alive_probability":
        return alive_probability(params, known.frequency, known.recency, known.age)
    return expected_orders(params, known.frequency, known.recency, known.age, horizon_days=measure.horizon_days)
