"""Pandas in, pandas out: what was known of customers at instants, as Feast joins it and live features complete it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from facts.errors import MissingColumns
from features.at_instant import InputsAt
from features.inputs import Inputs
from features.snapshots import snapshot_cutoffs, snapshot_names
from features.store import TTL, quietly

if TYPE_CHECKING:
    from datetime import datetime

    from feast import FeatureStore
    from numpy.typing import NDArray

    from facts.lake import Lake


def features_as_of(
    store: FeatureStore, lake: Lake, entities: pd.DataFrame, *, service: str = "regulars-repurchase"
) -> pd.DataFrame:
    """Read the features of customers, each as of an instant of its own.

    Parameters
    ----------
    store, lake
        Feast's store (`features.store.open_store`) and the lake of the same home.
    entities
        One row per (customer_id, cutoff); cutoff is an aware instant. Other columns are carried along.
    service
        The feature service that names the features of the snapshot.

    Returns
    -------
    The rows ordered by (cutoff, customer_id): the columns of `entities`, then the snapshot's features in catalog units,
    then the live features; missing where nothing was known, or only what is older than the views allow.

    Raises
    ------
    MissingColumns
        `entities` lacks customer_id or cutoff.
    """
    if missing := [name for name in ("customer_id", "cutoff") if name not in entities.columns]:
        raise MissingColumns("the table of entities", missing, known=list(entities.columns))
    asked = entities.rename(columns={"cutoff": "event_timestamp"})
    with quietly():
        joined = store.get_historical_features(entity_df=asked, features=store.get_feature_service(service)).to_df()
    # Feast does not keep the order of the entities.
    joined = joined.rename(columns={"event_timestamp": "cutoff"}).sort_values(["cutoff", "customer_id"])
    joined = joined.reset_index(drop=True)
    inputs = Inputs.of(snapshot_names(lake), lake.shop().has)
    matrix = _matrix(lake, inputs, joined)
    live = pd.DataFrame(matrix[:, len(inputs.kept) :], columns=[feature.name for feature in inputs.live])
    return pd.concat([joined, live], axis=1)


def _matrix(lake: Lake, inputs: Inputs, joined: pd.DataFrame) -> NDArray[np.float32]:
    """Make the models' inputs, instant by instant."""
    zone, standing = ZoneInfo(lake.shop().timezone), snapshot_cutoffs(lake)
    whole = np.empty((len(joined), len(inputs.names)), dtype=np.float32)
    with lake.connect() as connection:
        events = lake.table(connection, "events")
        for instant in joined["cutoff"].drop_duplicates():
            at, rows = instant.to_pydatetime(), joined[joined["cutoff"] == instant]
            snapshot = rows[list(inputs.snapshot)].to_numpy(dtype=np.float32)
            # Of whom it holds nothing too: what was received before it is not new.
            cutoff = _cutoff_known(standing, at)
            made = InputsAt(inputs, lake, events, cutoff=cutoff, at=at, zone=zone)
            whole[rows.index] = made.matrix(rows["customer_id"].tolist(), snapshot)
    return whole


def _cutoff_known(standing: tuple[datetime, ...], at: datetime) -> datetime | None:
    known = [cutoff for cutoff in standing if cutoff <= at]
    return known[-1] if known and at - known[-1] <= TTL else None
