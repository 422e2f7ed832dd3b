"""Calibration on held-out time: from what boosters said of cutoffs they had not seen to what then happened.

References
----------
Platt (1999), "Probabilistic outputs for support vector machines".
Zadrozny & Elkan (2002), "Transforming classifier scores into accurate multiclass probability estimates".
Kull, Silva Filho & Flach (2017), "Beta calibration: a well-founded and easily implemented improvement on logistic
calibration for binary classifiers".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.parts import Calibration
from training.metrics import METRICS

Floats = NDArray[np.float64]
Pairs = Sequence[tuple[Floats, Floats]]

_EDGE = 1e-6
_KNOTS = np.linspace(_EDGE, 1 - _EDGE, 513)


def fit_calibration(held_out: Pairs) -> Calibration:
    """Choose and fit a calibration of probabilities.

    Parameters
    ----------
    held_out
        (predicted, actual) of every validation cutoff. With two or more, each method is judged by its log loss on a
        cutoff that it was not fitted on; with one, Platt's two parameters are taken.
    """
    if len(held_out) == 1:
        return _platt(*held_out[0])
    losses = {
        name: np.mean([_left_out_loss(method, held_out, i) for i in range(len(held_out))])
        for name, method in _METHODS.items()
    }
    best = min(losses, key=lambda name: float(losses[name]))
    return _METHODS[best](*_pooled(held_out))


def _left_out_loss(method: Callable[[Floats, Floats], Calibration], held_out: Pairs, index: int) -> float:
    fitted = method(*_pooled([pair for i, pair in enumerate(held_out) if i != index]))
    predicted, actual = held_out[index]
    log_loss = METRICS["probability"]["log_loss"]
    calibrated = np.clip(fitted.apply(predicted), _EDGE, 1 - _EDGE)
    return float(log_loss.compute(actual, calibrated, np.ones((1, len(actual))))[0])


def _pooled(held_out: Pairs) -> tuple[Floats, Floats]:
    return np.concatenate([p for p, _ in held_out]), np.concatenate([a for _, a in held_out])


def _none(_predicted: Floats, _actual: Floats) -> Calibration:
    return Calibration(method="none")


def _platt(predicted: Floats, actual: Floats) -> Calibration:
    """Fit a logistic curve on the log-odds, kept as a table of knots."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6).fit(_log_odds(predicted)[:, None], actual)
    curve = model.predict_proba(_log_odds(_KNOTS)[:, None])[:, 1]
    return Calibration(method="platt", raw=tuple(_KNOTS.tolist()), calibrated=tuple(curve.tolist()))


def _beta(predicted: Floats, actual: Floats) -> Calibration:
    """Fit a logistic curve in both log p and log(1 - p); one that would fall somewhere gives way to Platt's."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6).fit(_logs(predicted), actual)
    if (model.coef_ < 0).any():
        return _platt(predicted, actual)
    curve = model.predict_proba(_logs(_KNOTS))[:, 1]
    return Calibration(method="beta", raw=tuple(_KNOTS.tolist()), calibrated=tuple(curve.tolist()))


def _isotonic(predicted: Floats, actual: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=_EDGE, y_max=1 - _EDGE, out_of_bounds="clip").fit(predicted, actual)
    return Calibration(
        method="isotonic", raw=tuple(model.X_thresholds_.tolist()), calibrated=tuple(model.y_thresholds_.tolist())
    )


def _logs(probability: Floats) -> Floats:
    clipped = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.column_stack([np.log(clipped), -np.log1p(-clipped)])


def _log_odds(probability: Floats) -> Floats:
    clipped = np.clip(probability, _EDGE, 1 - _EDGE)
    odds: Floats = np.log(clipped / (1 - clipped))
    return odds


_METHODS: Mapping[str, Callable[[Floats, Floats], Calibration]] = {
    "none": _none,
    "platt": _platt,
    "beta": _beta,
    "isotonic": _isotonic,
}
