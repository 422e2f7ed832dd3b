"""Customers whom a model may know less well, measured apart: the new, the heavy, the lapsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scoring.parts import Floats, Kind
from training.metrics import COVERAGE, WIDTH, Estimate, estimate_all, estimate_interval

LEAST_ROWS = 30
_SHOWN: Mapping[Kind, tuple[str, ...]] = {
    "probability": ("auc", "adaptive_calibration_error"),
    "amount": ("mae", "normalised_gini", "total_ratio"),
    "days": ("mae", "spearman"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some of the customers: a name, what they are, and who belongs to it, from the features of all."""

    name: str
    said: str
    column: str
    holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMeasure:
    """What was measured of one group: its size, means of prediction and outcome, and metrics with their intervals."""

    group: str
    said: str
    rows: int
    mean_predicted: float
    mean_actual: float
    estimates: Mapping[str, Estimate]

    def told(self) -> dict[str, Any]:
        """Return it as a report holds it."""
        return asdict(self)


GROUPS = (
    Group(name="new", said="one or two visit-days so far", column="visit_count", holds=lambda v: v <= 2),  # noqa: PLR2004
    Group(
        name="heavy",
        said="the tenth with the highest spend of a year",
        column="spend_amount_365d",
        holds=lambda v: v > np.quantile(v, 0.9),
    ),
    Group(
        name="lapsed",
        said="away for longer than ever before within a year",
        column="order_overdue_ratio_live_365d",
        holds=lambda v: v > 1,
    ),
)


def measure_groups(
    kind: Kind,
    frame: pd.DataFrame,
    actual: Floats,
    predicted: Floats,
    quantiles: Floats | None,
    *,
    draws: int,
    seed: int,
) -> list[GroupMeasure]:
    """Measure every group of at least 30 rows.

    Parameters
    ----------
    frame
        The features of the rows, by name.
    actual, predicted, quantiles
        (rows,), (rows,) and (rows, 3) of the label.
    """
    found = []
    for group in GROUPS:
        if group.column not in frame:
            continue
        within = group.holds(np.nan_to_num(frame[group.column].to_numpy(dtype=np.float64), nan=0.0))
        if within.sum() < LEAST_ROWS:
            continue
        of_all = estimate_all(kind, actual[within], {"model": predicted[within]}, draws=draws, seed=seed)["model"]
        estimates = {name: of_all[name] for name in _SHOWN[kind]}
        if quantiles is not None:
            measured = estimate_interval(actual[within], quantiles[within], draws=draws, seed=seed)
            estimates |= {name: measured[name] for name in (COVERAGE, WIDTH)}
        found.append(
            GroupMeasure(
                group=group.name,
                said=group.said,
                rows=int(within.sum()),
                mean_predicted=float(predicted[within].mean()),
                mean_actual=float(actual[within].mean()),
                estimates=estimates,
            )
        )
    return found
