"""Why a score is what it is: the features that moved it most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scoring.model import TaskModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One feature's part in one score.

    `contribution` is its TreeSHAP value on the raw scale of the model (log-odds for a probability, log of the amount
    for an amount with a log link); `share` is its part of the sum of all contributions' sizes, in [0, 1].
    """

    feature: str
    value: float | None
    direction: Literal["raises", "lowers"]
    contribution: float
    share: float


def reasons(model: TaskModel, matrix: NDArray[np.float32], *, count: int) -> list[list[Reason]]:
    """Return the `count` strongest reasons for each row, strongest first."""
    parts = model.contributions(matrix)
    return [_strongest(model, values, row, count=count) for values, row in zip(matrix, parts, strict=True)]


def _strongest(
    model: TaskModel, values: NDArray[np.float32], parts: NDArray[np.float32], *, count: int
) -> list[Reason]:
    whole = float(np.abs(parts).sum()) or 1.0
    order = np.argsort(-np.abs(parts), kind="stable")[:count]
    return [
        Reason(
            feature=model.features[i],
            value=None if np.isnan(values[i]) else float(values[i]),
            direction="raises" if parts[i] > 0 else "lowers",
            contribution=float(parts[i]),
            share=float(abs(parts[i])) / whole,
        )
        for i in order
        if parts[i] != 0
    ]
