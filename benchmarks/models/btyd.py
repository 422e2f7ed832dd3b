"""Buy-till-you-die models of the package lifetimes: fitted without a penalty, or with the least that converges.

References
----------
Fader, Hardie & Lee (2005), "Counting your customers the easy way: an alternative to the Pareto/NBD model".
Schmittlein, Morrison & Colombo (1987), "Counting your customers: who are they and what will they do next?"
Fader, Hardie & Lee (2005), "RFM and CLV: using iso-value curves for customer base analysis" (Gamma-Gamma).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd

from benchmarks.models.histories import AGE, FREQUENCY, RECENCY, VALUE
from facts.errors import RegularsError
from training.fitting import Floats

SEED = 1
PENALTIES = (0.0, 0.001, 0.01, 0.1)
WEEK_DAYS = 7.0  # the unit of time in which lifetimes converges best


class NotConverged(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A model of lifetimes converged with none of the penalties."""


class Buying(Protocol):
    """A fitted model of when customers buy."""

    def orders(self, rows: pd.DataFrame, days: float) -> Floats:
        """Return the visit-days to expect of each."""

    def any_order(self, rows: pd.DataFrame, days: float) -> Floats:
        """Return the probability of at least one visit-day of each."""


Fitter: TypeAlias = Callable[[pd.DataFrame], Buying]


@dataclass(frozen=True, slots=True)
class _Fitted:
    model: Any

    def orders(self, rows: pd.DataFrame, days: float) -> Floats:
        frequency, recency, age = _weeks(rows)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            weeks = days / WEEK_DAYS
            said = self.model.conditional_expected_number_of_purchases_up_to_time(weeks, frequency, recency, age)
        return _finite(np.asarray(said, np.float64), self._upper(rows, days)[1])

    def any_order(self, rows: pd.DataFrame, days: float) -> Floats:
        raise NotImplementedError

    def _upper(self, rows: pd.DataFrame, days: float) -> tuple[Floats, Floats]:
        """Return the probability of an order and the orders of customers who are there and do not leave meanwhile.

        Times the probability of being there. The series of lifetimes overflow for some histories; these stand in.
        """
        frequency, recency, age = _weeks(rows)
        with np.errstate(all="ignore"):
            alive = np.asarray(self.model.conditional_probability_alive(frequency, recency, age), np.float64)
        alive = np.clip(np.nan_to_num(alive, nan=0.0), 0.0, 1.0)
        r, alpha = self.model.params_["r"], self.model.params_["alpha"]
        weeks = days / WEEK_DAYS
        any_order = alive * (1 - ((alpha + age) / (alpha + age + weeks)) ** (r + frequency))
        return any_order, alive * (r + frequency) / (alpha + age) * weeks


class _BgNbd(_Fitted):
    def any_order(self, rows: pd.DataFrame, days: float) -> Floats:
        return self._upper(rows, days)[0]  # here nobody leaves before an order


class _ParetoNbd(_Fitted):
    def any_order(self, rows: pd.DataFrame, days: float) -> Floats:
        frequency, recency, age = _weeks(rows)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            weeks = days / WEEK_DAYS
            none = self.model.conditional_probability_of_n_purchases_up_to_time(0, weeks, frequency, recency, age)
        said, upper = 1 - np.asarray(none, np.float64), self._upper(rows, days)[0]
        return np.clip(np.where(np.isfinite(said) & (said >= 0) & (said <= 1), said, upper), 0.0, 1.0)


def fit_bg_nbd(known: pd.DataFrame) -> Buying:
    """Fit BG/NBD to the histories of all customers."""
    from lifetimes import BetaGeoFitter

    return _BgNbd(_least_penalty(BetaGeoFitter, *_weeks(known)))


def fit_pareto_nbd(known: pd.DataFrame) -> Buying:
    """Fit Pareto/NBD to the histories of all customers."""
    from lifetimes import ParetoNBDFitter

    return _ParetoNbd(_least_penalty(ParetoNBDFitter, *_weeks(known)))


def fit_values(known: pd.DataFrame) -> Callable[[pd.DataFrame], Floats]:
    """Fit Gamma-Gamma to those who came back, and return what a visit-day of each customer is worth."""
    from lifetimes import GammaGammaFitter

    back = known[(known[FREQUENCY] > 0) & (known[VALUE] > 0)]
    model = _least_penalty(GammaGammaFitter, back[FREQUENCY], back[VALUE])

    def values(rows: pd.DataFrame) -> Floats:
        frequency = rows[FREQUENCY].where(rows[VALUE] > 0, 0.0)
        return np.asarray(model.conditional_expected_average_profit(frequency, rows[VALUE].clip(lower=0)), np.float64)

    return values


def _weeks(rows: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    return (
        rows[FREQUENCY].to_numpy(np.float64),
        rows[RECENCY].to_numpy(np.float64) / WEEK_DAYS,
        rows[AGE].to_numpy(np.float64) / WEEK_DAYS,
    )


def _least_penalty(fitter: Callable[..., Any], *columns: object) -> Any:  # noqa: ANN401 - lifetimes has no types
    from lifetimes.utils import ConvergenceError

    for penalty in PENALTIES:
        model = fitter(penalizer_coef=penalty)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"), _seeded():
                warnings.simplefilter("ignore")
                model.fit(*columns)
        except ConvergenceError:
            continue
        if np.isfinite(list(model.params_)).all() and (np.asarray(list(model.params_)) > 0).all():
            return model
    raise NotConverged(f"{fitter.__name__} did not converge with a penalty of {', '.join(map(str, PENALTIES))}")


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed numpy's global generator, from which Pareto/NBD draws where it starts, and leave it as it was."""
    state = np.random.get_state()  # noqa: NPY002 - lifetimes draws from it
    np.random.seed(SEED)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _finite(said: Floats, stand_in: Floats) -> Floats:
    return np.where(np.isfinite(said) & (said >= 0), said, stand_in)
