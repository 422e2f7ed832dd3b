"""Why a score is what it is: what moved it most, each in a sentence of the customer's own values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.statements import grouped, known_values
from scoring.model import TaskModel
from scoring.parts import Floats, RawScale


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """The part that some features have together in one score.

    `contribution` is the sum of their TreeSHAP values on the raw scale of the model; `share` is its part of the sum of
    all contributions' sizes, in [0, 1]. `features` holds the values, None where nothing is known.
    """

    name: str
    statement: str
    features: Mapping[str, float | None]
    direction: Literal["raises", "lowers"]
    contribution: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The strongest reasons of one score, and what reconciles them with it: base + contributions + rest = raw.

    `raw` is the score before its calibration and on the raw scale: log-odds of a probability, the logarithm of an
    amount or of days, or those themselves. An amount is 0.95 of what `raw` says, at least 0, and 0.05 of the mean.
    """

    reasons: tuple[Reason, ...]
    base: float
    rest: float
    raw: float
    scale: RawScale


def explain(model: TaskModel, matrix: NDArray[np.float32], *, count: int, currency: str) -> list[Explanation]:
    """Explain the score of each row by its `count` strongest reasons, strongest first; amounts are in `currency`."""
    parts, base = model.contributions(matrix)
    groups = grouped(model.features)
    sums = np.column_stack([parts[:, list(places)].sum(axis=1) for _, places in groups])
    return [
        _explained(model, row, told, start, count=count, currency=currency)
        for row, told, start in zip(matrix, sums, base.tolist(), strict=True)
    ]


def _explained(
    model: TaskModel, row: NDArray[np.float32], sums: Floats, base: float, *, count: int, currency: str
) -> Explanation:
    groups, values = grouped(model.features), row.tolist()
    known = known_values(model.features, values)
    whole = float(np.abs(sums).sum()) or 1.0
    strongest = [i for i in np.argsort(-np.abs(sums), kind="stable")[:count].tolist() if sums[i] != 0]
    given = tuple(
        Reason(
            name=statement.name,
            statement=statement.of(known, currency=currency),
            features={model.features[place]: known.get(model.features[place]) for place in places},
            direction="raises" if sums[i] > 0 else "lowers",
            contribution=float(sums[i]),
            share=float(abs(sums[i])) / whole,
        )
        for i in strongest
        for statement, places in [groups[i]]
    )
    raw, shown = base + float(sums.sum()), sum(reason.contribution for reason in given)
    return Explanation(reasons=given, base=base, rest=raw - base - shown, raw=raw, scale=model.raw_scale)
