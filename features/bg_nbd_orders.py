"""How many orders to expect of a BG/NBD customer who is there: `features.bg_nbd` without its times and histories.

Visits come at a rate that is gamma(r + x) over alpha + age; after each the customer leaves with a probability that is
beta(a, b + x). `stretch` is the horizon over alpha + age.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, hyp2f1, log_expit

Floats = NDArray[np.float64]

_TOLERANCE = 1e-8
_ROUNDING = 2.0**-46  # of hyp2f1, as seen


def orders_if_alive(r: float, a: float, b: float, x: Floats, stretch: Floats) -> Floats:
    """Return the orders to expect of customers who are there, after x repeat visits.

    By Jensen's inequality the answer lies between that of a customer who leaves with the mean probability and that of
    one who never leaves. Where the closed form does not (it overflows for large `a` or `b` over long horizons) or loses
    digits (near a = 1), the posterior of the probability is summed up instead, which is slower.
    """
    least, most = _orders_leaving_with(a / (a + b + x), r + x, stretch), (r + x) * stretch
    orders, error = _closed_form(r, a, b, x, stretch)
    slack = _TOLERANCE * most
    is_sound = (error <= _TOLERANCE * orders) & (orders >= least - slack) & (orders <= most + slack)
    is_lost = ~is_sound & (most - least > slack)
    orders[is_lost] = _summed(r, a, b, x[is_lost], stretch[is_lost])
    return np.fmax(least, np.fmin(orders, most))


def _closed_form(r: float, a: float, b: float, x: Floats, stretch: Floats) -> tuple[Floats, Floats]:
    """Return the paper's conditional expectation E(Y(t)) without its P(alive), and its rounding error.

    Euler's transformation takes x out of the exponents and of the numerators.
    """
    third = a + b + x - 1.0
    with np.errstate(all="ignore"):
        series = hyp2f1(a + b - 1.0 - r, a - 1.0, third, stretch / (1.0 + stretch))
        scale = third / np.float64(a - 1.0)
        share = np.exp((1.0 - a) * np.log1p(stretch)) * series
        return np.asarray(scale * (1.0 - share)), np.asarray(_ROUNDING * np.abs(scale))


def _summed(r: float, a: float, b: float, x: Floats, stretch: Floats) -> Floats:
    """Average over the posterior beta(a, b + x) of the probability of leaving."""
    orders = np.zeros_like(stretch)
    for count in np.unique(x):
        alike = np.flatnonzero(x == count)
        stretches, nodes = stretch[alike], zip(*_beta_nodes(a, b + count), strict=True)
        orders[alike] = sum(weight * _orders_leaving_with(leaving, r + count, stretches) for leaving, weight in nodes)
    return orders


def _orders_leaving_with(leaving: float | Floats, visits: float | Floats, stretch: Floats) -> Floats:
    """Return the orders to expect of customers who leave with a known probability after each."""
    return np.asarray(-np.expm1(-visits * np.log1p(leaving * stretch)) / leaving)


def _beta_nodes(a: float, b: float) -> tuple[Floats, Floats]:
    """Return nodes and weights of a beta(a, b) variable: the trapezoidal rule over its log-odds.

    Errors fall exponentially with the step, since what is averaged is smooth in the log-odds. Both tails of the density
    are geometric far out; what lies beyond the last nodes is put on them.
    """
    centre, spread = float(np.clip(np.log(a / b), -40, 40)), np.sqrt(1 / a + 1 / b)
    first, last = max(centre - 25 / a - 8 * spread, -45.0), min(centre + 25 / b + 8 * spread, 45.0)
    step = min(0.4, 0.65 * spread)
    log_odds = np.arange(first, last, step)
    log_density = a * log_expit(log_odds) + b * log_expit(-log_odds)
    weights = np.exp(log_density - log_density.max())
    weights[0] /= -np.expm1(-a * step)
    weights[-1] /= -np.expm1(-b * step)
    return expit(log_odds), weights / weights.sum()
