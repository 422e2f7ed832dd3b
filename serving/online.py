"""What is known of customers this moment: one vector each, read through Feast."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from facts.errors import DamagedFile, NotYet, RegularsError
from features.build import materialized_cutoff
from features.catalog import NAMES, feature_hash
from features.store import open_store
from scoring.answers import FeatureRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feast import FeatureStore
    from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesResponse

    from facts.home import Home

SERVICE, VIEW = "regulars-online", "customer_vector"
ADVICE = "run `regulars materialize`"


class LaterFeatures(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """The online store holds what was not known yet at the instant that is asked for."""

    def __init__(self, held: datetime, at: datetime) -> None:
        super().__init__(
            f"the online store holds features as of {held.isoformat()}, later than the instant asked for; "
            f"run `regulars materialize --as-of {at.isoformat()}` first"
        )


def require_not_later(home: Home, at: datetime) -> None:
    """Raise LaterFeatures where the online store holds a snapshot after an instant."""
    held = materialized_cutoff(home)
    if held is not None and held > at:
        raise LaterFeatures(held, at)


class OnlineFeatures:
    """The online store of one home, opened once and read for many customers at a time."""

    def __init__(self, store: FeatureStore, *, place: object) -> None:
        from feast.errors import FeastObjectNotFoundException

        self._store, self._place = store, place
        try:
            self._service = store.get_feature_service(SERVICE)
            view = store.get_feature_view(VIEW)
        except FeastObjectNotFoundException:
            raise NotYet(f"feature service {SERVICE!r} in Feast's registry", advice=ADVICE) from None
        self.registered_hash: str = view.tags.get("feature_hash", "")

    @classmethod
    def open(cls, home: Home) -> OnlineFeatures:
        """Open the store of a home; raise NotYet where nothing was materialized."""
        require_store(home)
        return cls(open_store(home), place=home.online_store)

    def read(self, customer_ids: Sequence[str]) -> FeatureRows:
        """Read what is known of different customers, in their order.

        The rows carry the hash that the store holds. A row of another feature list gives that one's hash, so that no
        model answers from it.

        Raises
        ------
        DamagedFile
            A vector has another length than its feature list, or the store cannot be read.
        """
        vectors, hashes = self._columns(customer_ids)
        matrix = np.full((len(customer_ids), len(NAMES)), np.nan, dtype=np.float32)
        as_of: list[datetime | None] = [None] * len(customer_ids)
        expected, strange = feature_hash(), ""
        for row, (value, stamp, known) in enumerate(
            zip(vectors.values, vectors.event_timestamps, hashes.values, strict=True)
        ):
            if not known.string_val:
                continue
            if known.string_val != expected:
                strange = known.string_val
                continue
            vector = value.float_list_val.val
            if len(vector) != len(NAMES):
                reason = f"a vector of {len(vector)} features, the catalog has {len(NAMES)}"
                raise DamagedFile(self._place, reason, advice=ADVICE)
            matrix[row] = vector
            as_of[row] = stamp.ToDatetime(tzinfo=UTC)
        return FeatureRows(
            customer_ids=customer_ids,
            features=NAMES,
            feature_hash=strange or expected,
            matrix=matrix,
            features_as_of=as_of,
        )

    def _columns(self, customer_ids: Sequence[str]) -> list[GetOnlineFeaturesResponse.FeatureVector]:
        # Feast's proto rather than its to_dict: that one boxes every value and drops fractions of a second.
        try:
            entities = {"customer_id": list(customer_ids)}
            proto = self._store.get_online_features(features=self._service, entity_rows=entities).proto
        except sqlite3.Error as error:
            raise DamagedFile(self._place, str(error), advice=ADVICE) from error
        columns = dict(zip(proto.metadata.feature_names.val, proto.results, strict=True))
        return [columns["features"], columns["feature_hash"]]


def require_store(home: Home) -> None:
    """Raise NotYet where the embedded stores do not exist; opening them would make empty ones."""
    for path, what in ((home.registry, "feature registry"), (home.online_store, "online store")):
        if not path.is_file():
            raise NotYet(f"{what} at {path}", advice=ADVICE)
