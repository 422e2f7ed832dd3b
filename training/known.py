"""What was known at cutoffs, joined by Feast once for all tasks that one command trains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from facts.lake import Lake
from features.frame import features_as_of
from features.snapshots import SNAPSHOTS, read_snapshots, snapshot_names
from scoring.answers import FeatureMismatch
from training.sample import is_sampled
from training.tasks import Task

if TYPE_CHECKING:
    from feast import FeatureStore


class Known:
    """The features of every customer at cutoffs, or of a share of the customers.

    The tasks of a shop have the same features and many cutoffs in common: what one of them had joined is held for the
    next, as long as the lake holds the same and as large a share is asked for.
    """

    def __init__(self, store: FeatureStore, lake: Lake) -> None:
        self.store, self.lake = store, lake
        self._held: dict[datetime, pd.DataFrame] = {}
        self._of: tuple[object, ...] = ()

    def at(self, task: Task, cutoffs: Sequence[datetime], *, share: float = 1.0) -> pd.DataFrame:
        """Read one row per (customer_id, cutoff), ordered by cutoff and customer, as `features_as_of` does.

        Raises
        ------
        FeatureMismatch
            Feast's service of the task and the snapshots do not have the same features.
        """
        self._require_features_of(task)
        of = (share, self.lake.digest(SNAPSHOTS), self.lake.digest("orders", "order_lines", "events"))
        if of != self._of:
            self._held, self._of = {}, of
        if lacking := [cutoff for cutoff in cutoffs if cutoff not in self._held]:
            customers = customers_at(self.lake, lacking, share=share)
            joined = features_as_of(self.store, self.lake, customers, service=f"regulars-{task.name}")
            self._held |= {cutoff: joined[joined["cutoff"] == cutoff] for cutoff in lacking}
        return pd.concat([self._held[cutoff] for cutoff in sorted(cutoffs)], ignore_index=True)

    def _require_features_of(self, task: Task) -> None:
        from features.catalog import feature_hash

        names, service = snapshot_names(self.lake), self.store.get_feature_service(f"regulars-{task.name}")
        served = tuple(feature.name for view in service.feature_view_projections for feature in view.features)
        if set(served) != set(names) or len(served) != len(names):
            raise FeatureMismatch(
                f"the snapshots ({len(names)} features)",
                feature_hash(tuple(names)),
                feature_hash(served),
                where=f"service {service.name!r}",
            )


def customers_at(lake: Lake, cutoffs: Sequence[datetime], *, share: float = 1.0) -> pd.DataFrame:
    """Return the customers known at cutoffs, or a share of them: one row per (customer_id, cutoff)."""
    with lake.connect() as connection:
        known = read_snapshots(lake, connection, cutoffs).select("customer_id", "cutoff")
        if share < 1:
            known = known.filter(is_sampled(known.customer_id, share))
        frame: pd.DataFrame = known.execute()
        return frame
