"""Pandas in, pandas out: what was known of customers at instants, as Feast joins it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from facts.errors import MissingColumns
from features.store import quietly

if TYPE_CHECKING:
    from feast import FeatureStore


def features_as_of(
    store: FeatureStore, entities: pd.DataFrame, *, service: str = "regulars-repurchase"
) -> pd.DataFrame:
    """Read the features of customers, each as of an instant of its own.

    Parameters
    ----------
    store
        Feast's store (`features.store.open_store`).
    entities
        One row per (customer_id, cutoff); cutoff is an aware instant. Other columns are carried along.
    service
        The feature service that names the features.

    Returns
    -------
    The rows ordered by (cutoff, customer_id): the columns of `entities`, then the features in catalog units; missing
    where nothing was known, or only what is older than the views allow.

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
    frame: pd.DataFrame = joined.reset_index(drop=True)
    return frame
