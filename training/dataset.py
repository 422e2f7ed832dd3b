"""Labels, and the training set: what Feast says was known at each cutoff, beside what happened after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd
from ibis import _
from numpy.typing import NDArray

from facts.lake import Lake
from features.inputs import Inputs
from features.snapshots import snapshot_names
from training.enough import require_enough
from training.known import Known
from training.tasks import Task

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """One row per (customer_id, cutoff): the inputs of the models (`features.inputs`), then `label`.

    For a probability the label is 0 or 1, for an amount money in the shop's currency, for days at most the horizon.
    """

    frame: pd.DataFrame
    features: tuple[str, ...]

    def at(self, cutoffs: Sequence[datetime]) -> TrainingSet:
        """Return the rows of some cutoffs."""
        return TrainingSet(self.frame[self.frame["cutoff"].isin(list(cutoffs))], self.features)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """Return the features as (rows, features) float32, missing as NaN."""
        return self.frame[list(self.features)].to_numpy(dtype=np.float32)

    @property
    def label(self) -> NDArray[np.float64]:
        """Return the labels as (rows,) float64."""
        return self.frame["label"].to_numpy(dtype=np.float64)


def outcomes(orders: ibis.Table, lines: ibis.Table, customers: ibis.Table, *, horizon_days: int) -> ibis.Table:
    """Return what every customer did within the horizon: one row per (customer_id, cutoff) given.

    `order_count`, `net_amount` (decimal, the shop's currency, returns taken off) and `days_to_order` (the horizon where
    there is none) over what happened at or after the cutoff and before its horizon ends, as it is known today. The
    caller answers for the window being complete.
    """
    worth = lines.group_by("order_id", "version").agg(net_amount=_.net_amount.sum())
    paid = orders.filter(orders.superseded_at.isnull() & (orders.kind != "cancelled"))
    placed = paid.left_join(worth, ["order_id", "version"])
    placed = placed.select("customer_id", "ordered_at", "net_amount", is_sale=_.kind == "sale")
    windows = customers.mutate(until=customers.cutoff + ibis.interval(days=horizon_days))
    joined = windows.left_join(
        placed,
        [
            windows.customer_id == placed.customer_id,
            placed.ordered_at >= windows.cutoff,
            placed.ordered_at < windows.until,
        ],
    )
    first = _.ordered_at.min(where=_.is_sale)
    days = first.delta(_.cutoff.max(), unit="microsecond") / (86_400 * 1_000_000)
    return joined.group_by("customer_id", "cutoff").agg(
        order_count=_.is_sale.sum().fill_null(0),
        net_amount=_.net_amount.sum().fill_null(0),
        days_to_order=days.fill_null(float(horizon_days)),
    )


def label_rows(lake: Lake, task: Task, rows: pd.DataFrame, *, horizon_days: int) -> pd.DataFrame:
    """Build the labels of customers, each from an instant of its own: (customer_id, cutoff) and `label`.

    The window of the latest instant must have ended by the end of the record.
    """
    with lake.connect() as connection:
        known = ibis.memtable(rows[["customer_id", "cutoff"]])
        return _labelled(lake, connection, task, known, horizon_days=horizon_days)


def _labelled(lake: Lake, connection: Backend, task: Task, known: ibis.Table, *, horizon_days: int) -> pd.DataFrame:
    orders, lines = (lake.table(connection, name) for name in ("orders", "order_lines"))
    done = outcomes(orders, lines, known, horizon_days=horizon_days)
    labelled = done.select("customer_id", "cutoff", label=task.label(done)).order_by("cutoff", "customer_id")
    frame: pd.DataFrame = labelled.execute()
    return frame


def build_training_set(
    known: Known, task: Task, cutoffs: Sequence[datetime], *, horizon_days: int, share: float = 1.0
) -> TrainingSet:
    """Join labels with the features of the task's Feast service, each as of its cutoff.

    Customers that the task's gate excludes are left out, here as in serving. Of a share of the customers
    (`training.sample`) the others are left in the lake.

    Raises
    ------
    GateFailed
        Too few customers, or one class only.
    FeatureMismatch
        Feast's service and the snapshots do not have the same features.
    """
    lake = known.lake
    inputs = Inputs.of(snapshot_names(lake), lake.shop().has).names
    rows = known.at(task, cutoffs, share=share)
    rows = rows[rows[task.gate.feature] >= task.gate.at_least]
    labels = label_rows(lake, task, rows, horizon_days=horizon_days)
    frame = rows[["customer_id", "cutoff", *inputs]].merge(labels, on=["customer_id", "cutoff"], validate="one_to_one")
    require_enough(frame, task)
    return TrainingSet(frame, inputs)
