"""Buy till you die: who is still a customer, and how often they will come, from three figures a customer.

The BG/NBD model: while a customer is there, visits come at random at a rate of their own (gamma, shape `r`, rate
`alpha`); after every repeat visit they leave for good with a probability of their own (beta, `a` and `b`). A history is
`frequency` (repeat visit-days: the first one does not count), `recency` (days from the first visit to the last) and
`age` (days from the first visit to the cutoff).

References
----------
Fader, Hardie & Lee (2005), "Counting your customers the easy way: an alternative to the Pareto/NBD model".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, expit, gammaln

from facts.errors import RegularsError
from features.bg_nbd_orders import orders_if_alive

Floats = NDArray[np.float64]

_LEAST_CUSTOMERS, _LEAST_RETURNED = 50, 10
_MOST_ROWS = 50_000
_SLACK_DAYS = 1e-3  # what single precision costs a recency of some years
_STARTS = ((0.3, 0.5, 2.0), (1.0, 1.0, 4.0), (4.0, 0.2, 4.0))  # r, a, b
# Of the logarithms of r, alpha, a and b, where the mean age is the unit of time.
_BOUNDS = tuple((-np.log(most), np.log(most)) for most in (1e3, 1e5, 1e3, 1e3))
_LEVEL = 1e-5  # slope of the mean log-likelihood at which an optimum is one
_MOST_LOG_ODDS = 700.0  # exp(-700) is still above zero


class CannotFit(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """Histories from which the parameters cannot be told."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot fit BG/NBD: {reason}")


class ImpossibleParameters(RegularsError):  # noqa: N818
    """Parameters that are missing, not positive or not finite."""


class ImpossibleHistory(RegularsError):  # noqa: N818
    """Figures that no customer can have, such as a last visit after the cutoff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BgNbd:
    """One shop's parameters.

    Parameters
    ----------
    r, alpha
        Shape and rate of the visit rates: a customer makes r / alpha visits per unit of time on average.
    a, b
        Of the probabilities of leaving after a repeat visit: a / (a + b) on average.
    unit_days
        Days in the unit of time of `alpha`.

    Raises
    ------
    ImpossibleParameters
        One is not a positive, finite number.
    """

    r: float
    alpha: float
    a: float
    b: float
    unit_days: float = 7.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (np.isfinite(value) and value > 0):
                raise ImpossibleParameters(f"BG/NBD parameter {name!r} is {value}, not a positive number")

    def to_json(self) -> dict[str, float]:
        """Return the parameters as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> BgNbd:
        """Read what `to_json` wrote.

        Raises
        ------
        ImpossibleParameters
            One is missing or is not a positive number.
        """
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in record]:
            raise ImpossibleParameters(f"BG/NBD parameters without {', '.join(map(repr, missing))}")
        return cls(**{name: float(record[name]) for name in names})


def fit(
    frequency: ArrayLike,
    recency: ArrayLike,
    age: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    unit_days: float = 7.0,
) -> BgNbd:
    """Find the parameters under which the histories are likeliest.

    Nothing is drawn at random: the same histories, in any order, give the same parameters. Beyond 50,000 distinct
    histories, those at equal steps through the sorted customers stand for their neighbours. Each parameter is kept
    within 1/1000 and 1000 (`alpha` within 1e-5 and 1e5 mean ages); where the likelihood rises for ever (nobody seems to
    leave, all visit at one rate) it ends on that bound, and predictions are those of the limit. There is no penalty.

    Parameters
    ----------
    frequency, recency, age
        One history a row; recency and age in days.
    weights
        How many customers each row stands for; one where not given.
    unit_days
        Unit of time of the result.

    Raises
    ------
    CannotFit
        There are fewer than 50 customers, fewer than 10 came back, or no optimum was found.
    ImpossibleHistory
        A figure no customer can have.
    """
    rows = _rows(frequency, recency, age, weights)
    customers, returned = rows.weight.sum(), rows.weight[rows.x > 0].sum()
    if customers < _LEAST_CUSTOMERS:
        raise CannotFit(f"{customers:,.0f} customers, at least {_LEAST_CUSTOMERS} are needed")
    if returned < _LEAST_RETURNED:
        raise CannotFit(f"{returned:,.0f} of {customers:,.0f} customers came back, {_LEAST_RETURNED} are needed")
    mean_age = float(np.average(rows.age, weights=rows.weight))
    r, alpha, a, b = _likeliest(_few(_distinct(rows)).in_units_of(mean_age))
    return BgNbd(r=r, alpha=alpha * mean_age / unit_days, a=a, b=b, unit_days=unit_days)


def log_likelihood(
    params: BgNbd, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Return the log-likelihood of all histories, of densities per `unit_days`; arguments as of `fit`."""
    rows = _rows(frequency, recency, age, weights).in_units_of(params.unit_days)
    mean, _ = _mean_log_likelihood(np.log([params.r, params.alpha, params.a, params.b]), rows)
    return mean * float(rows.weight.sum())


def alive_probability(params: BgNbd, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Floats:
    """Return the probability in (0, 1] that each customer is still there at the cutoff.

    It is 1 where frequency is 0, however long the silence: in this model customers leave after a repeat visit only.

    Raises
    ------
    ImpossibleHistory
        A figure no customer can have.
    """
    rows = _rows(frequency, recency, age).in_units_of(params.unit_days)
    log_odds = _log_odds_gone(params.r, params.alpha, params.a, params.b, rows)
    return np.asarray(expit(-np.minimum(log_odds, _MOST_LOG_ODDS)))


def expected_orders(
    params: BgNbd, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, horizon_days: float
) -> Floats:
    """Return how many visit-days of each customer to expect within `horizon_days` after the cutoff.

    Raises
    ------
    ImpossibleHistory
        A figure no customer can have, or a horizon that is negative or not finite.
    """
    if not (np.isfinite(horizon_days) and horizon_days >= 0):
        raise ImpossibleHistory(f"a horizon of {horizon_days} days; it must be finite and not negative")
    rows = _rows(frequency, recency, age).in_units_of(params.unit_days)
    stretch = horizon_days / params.unit_days / (params.alpha + rows.age)
    if_alive = orders_if_alive(params.r, params.a, params.b, rows.x, stretch)
    return alive_probability(params, frequency, recency, age) * if_alive


@dataclass(frozen=True, slots=True)
class _Rows:
    """Histories, and how many customers each stands for; times in one unit."""

    x: Floats
    t_x: Floats
    age: Floats
    weight: Floats

    def in_units_of(self, days: float) -> _Rows:
        return _Rows(self.x, self.t_x / days, self.age / days, self.weight)


def _rows(frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, weights: ArrayLike | None = None) -> _Rows:
    x, t_x, until = (np.asarray(figures, dtype=np.float64) for figures in (frequency, recency, age))
    weight = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if not x.shape == t_x.shape == until.shape == weight.shape:
        raise ImpossibleHistory(f"columns of unlike shape: {x.shape}, {t_x.shape}, {until.shape}, {weight.shape}")
    last = np.minimum(t_x, until)
    is_possible = (x >= 0) & (x == np.floor(x)) & (last >= 0) & (t_x <= until + _SLACK_DAYS) & ((x == 0) | (last > 0))
    is_possible &= np.isfinite(x + until + weight) & (weight > 0)
    if not is_possible.all():
        row = int(np.argmin(is_possible))
        raise ImpossibleHistory(
            f"row {row} cannot be: frequency {x.flat[row]:g}, recency {t_x.flat[row]:g} days, age {until.flat[row]:g} "
            f"days, weight {weight.flat[row]:g}; needed: a whole frequency, a recency within age and above 0 where "
            "frequency is, a positive weight"
        )
    return _Rows(x, last, until, weight)


def _distinct(rows: _Rows) -> _Rows:
    order = np.lexsort((rows.age, rows.t_x, rows.x))
    x, t_x, age, weight = rows.x[order], rows.t_x[order], rows.age[order], rows.weight[order]
    is_new = np.r_[True, (np.diff(x) != 0) | (np.diff(t_x) != 0) | (np.diff(age) != 0)]
    return _Rows(x[is_new], t_x[is_new], age[is_new], np.add.reduceat(weight, np.flatnonzero(is_new)))


def _few(rows: _Rows, *, most_rows: int = _MOST_ROWS) -> _Rows:
    """Take the histories at equal steps through the customers, where there are too many."""
    if rows.x.size <= most_rows:
        return rows
    reached = np.cumsum(rows.weight)
    step = reached[-1] / most_rows
    kept, times = np.unique(np.searchsorted(reached, step * (np.arange(most_rows) + 0.5)), return_counts=True)
    return _Rows(rows.x[kept], rows.t_x[kept], rows.age[kept], step * times)


def _likeliest(
    rows: _Rows, *, starts: Sequence[tuple[float, float, float]] = _STARTS, most_iterations: int = 1000
) -> tuple[float, float, float, float]:
    from scipy.optimize import minimize

    def loss(logs: Floats) -> tuple[float, Floats]:
        mean, slope = _mean_log_likelihood(logs, rows)
        return -mean, -slope

    rate = float(np.average(rows.x, weights=rows.weight))
    logs = [np.clip(np.log([r, r / rate, a, b]), *np.transpose(_BOUNDS)) for r, a, b in starts]
    options = {"maxiter": most_iterations, "ftol": 1e-14, "gtol": 1e-8}
    found = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=_BOUNDS, options=options) for start in logs]
    best = min(found, key=lambda result: float(result.fun))
    slope = np.abs(best.x - np.clip(best.x - best.jac, *np.transpose(_BOUNDS))).max()
    if not slope < _LEVEL:
        raise CannotFit(f"not converged after {best.nit} iterations (slope {slope:.1g}, below {_LEVEL:g} needed)")
    r, alpha, a, b = np.exp(best.x).tolist()
    return r, alpha, a, b


def _mean_log_likelihood(logs: Floats, rows: _Rows) -> tuple[float, Floats]:
    """Return the mean over customers and its slope in the logarithms of r, alpha, a and b.

    The paper's likelihood, with its sum of two terms written as the first one over the probability of being alive.
    """
    r, alpha, a, b = params = np.exp(logs)
    share = rows.weight / rows.weight.sum()
    log_odds = _log_odds_gone(r, alpha, a, b, rows)
    gone = share * expit(log_odds)
    there = share - gone
    visits, left, until = r + rows.x, np.log(alpha + rows.t_x), np.log(alpha + rows.age)
    value = (share * (np.logaddexp(0.0, log_odds) - visits * until)).sum()
    of_r = -(gone * left + there * until)
    of_alpha = -visits * (gone / (alpha + rows.t_x) + there / (alpha + rows.age))
    slope = np.array([of_r.sum(), of_alpha.sum(), gone.sum() / a, -(gone / _left_at(b, rows.x)).sum()])
    counts, where = np.unique(rows.x, return_inverse=True)
    of_counts = np.bincount(where, weights=share)
    by_count, by_count_slope = _of_counts(r, alpha, a, b, counts)
    return float(value + (of_counts * by_count).sum()), (slope + (by_count_slope * of_counts).sum(axis=1)) * params


def _of_counts(r: float, alpha: float, a: float, b: float, x: Floats) -> tuple[Floats, Floats]:
    """Return what the log-likelihood owes to the number of visits alone, and its slopes in r, alpha, a and b."""
    value = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    value += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    of_sum = digamma(a + b) - digamma(a + b + x)
    of_r, of_b = digamma(r + x) - digamma(r) + np.log(alpha), of_sum + digamma(b + x) - digamma(b)
    return value, np.stack((of_r, np.full_like(x, r / alpha), of_sum, of_b))


def _log_odds_gone(r: float, alpha: float, a: float, b: float, rows: _Rows) -> Floats:
    """Return log(gone : alive); minus infinity before the first repeat visit."""
    silence = np.log1p((rows.age - rows.t_x) / (alpha + rows.t_x))
    log_odds = np.log(a) - np.log(_left_at(b, rows.x)) + (r + rows.x) * silence
    return np.where(rows.x > 0, log_odds, -np.inf)


def _left_at(b: float, x: Floats) -> Floats:
    return np.where(x > 0, b + (x - 1.0), 1.0)
