"""Whether it pays to blend the project's answer with BG/NBD's.

Of probabilities the log-odds are averaged, of amounts the amounts; the weight is the one that was best on held-out
time before the cutoff, by what the search improves (log loss, mean absolute error), and of amounts by the root mean
squared error too: the absolute error asks for medians, and BG/NBD says means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.special import expit, logit

from scoring.parts import Kind
from training.fitting import Floats

WEIGHTS = np.linspace(0.0, 1.0, 21)
_EDGE = 1e-6


Loss: TypeAlias = Callable[[Floats, Floats], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """The weight of BG/NBD by a loss, and what it did to that loss on the folds it was chosen on."""

    by: str
    weight: float
    fold_loss: float
    fold_loss_alone: float


def choose_weights(
    kind: Kind, ours: Sequence[Floats], theirs: Sequence[Floats], actual: Sequence[Floats]
) -> tuple[Blend, ...]:
    """Choose the weight of `theirs` by each loss of a kind, on folds of which each counts the same."""
    said = [[blended(kind, a, b, weight) for a, b in zip(ours, theirs, strict=True)] for weight in WEIGHTS]
    return tuple(_best(name, loss, said, actual) for name, loss in _LOSSES[kind].items())


def _best(name: str, loss: Loss, said: Sequence[Sequence[Floats]], actual: Sequence[Floats]) -> Blend:
    losses = [np.mean([loss(*pair) for pair in zip(actual, folds, strict=True)]) for folds in said]
    best = int(np.argmin(losses))
    return Blend(by=name, weight=float(WEIGHTS[best]), fold_loss=float(losses[best]), fold_loss_alone=float(losses[0]))


def blended(kind: Kind, ours: Floats, theirs: Floats, weight: float) -> Floats:
    """Blend two answers; `weight` is that of `theirs`."""
    if kind == "amount":
        return (1 - weight) * ours + weight * theirs
    odds = [logit(np.clip(said, _EDGE, 1 - _EDGE)) for said in (ours, theirs)]
    return np.asarray(expit((1 - weight) * odds[0] + weight * odds[1]))


def _log_loss(actual: Floats, said: Floats) -> float:
    return float(-np.where(actual == 1, np.log(said), np.log1p(-said)).mean())


def _absolute_error(actual: Floats, said: Floats) -> float:
    return float(np.abs(actual - said).mean())


def _squared_error(actual: Floats, said: Floats) -> float:
    return float(np.sqrt(((actual - said) ** 2).mean()))


_LOSSES: dict[Kind, dict[str, Loss]] = {
    "probability": {"log loss": _log_loss},
    "amount": {"absolute error": _absolute_error, "squared error": _squared_error},
}
