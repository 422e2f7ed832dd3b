"""What is known of customers this moment: one vector each, read through Feast, and the events since."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from facts.ecommerce import ORDER_COMPLETED
from facts.errors import DamagedFile, NotYet, RegularsError
from facts.lake import Lake, Shop
from facts.order_names import ORDER_EVENTS
from features.catalog import NAMES, feature_hash
from features.inputs import LIVE_NEEDS, Inputs
from features.live import REACH
from features.materialize import materialized_cutoff, materialized_list
from features.snapshots import VECTOR
from features.store import open_store
from features.vectors import unpack
from scoring.answers import FeatureMismatch, FeatureRows, places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feast import FeatureService, FeatureStore
    from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesResponse
    from numpy.typing import NDArray

    from facts.event_log import EventLog
    from facts.home import Home
    from scoring.model import TaskModel

SERVICE, VIEW = "regulars-online", "customer_vector"
ADVICE = "run `regulars materialize`"
LOOK_AGAIN_SECONDS = 1.0
NOBODY = ""  # an id that no customer has: empty ids are refused at the door


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


class OtherVectors(RegularsError):  # noqa: N818
    """The online store holds vectors of another feature list than the registry."""

    def __init__(self, held: str, expected: str) -> None:
        super().__init__(
            f"the online store holds vectors of feature list {held}, the registry has {expected}; nobody is scored on "
            f"them: {ADVICE}"
        )


@dataclass(frozen=True, slots=True)
class _View:
    """Feast's registry as it was read: the service, the inputs, and the features of every list of vectors."""

    store: FeatureStore
    service: FeatureService
    inputs: Inputs
    lists: Mapping[str, tuple[str, ...]]


class OnlineFeatures:
    """What is known of customers now: the online store's snapshot, and the event log's last events.

    A shop that has something for the first time has more features with its next snapshot. The registry is read anew
    when the first vector of another list is met; while they are written, old vectors are read by their own list.
    """

    def __init__(self, home: Home, log: EventLog, shop: Shop) -> None:
        self._home, self._log, self._place = home, log, home.online_store
        self._zone = ZoneInfo(shop.timezone)
        self._view = _read_registry(home, {})
        self._looking, self._looked_at = Lock(), time.monotonic()

    @classmethod
    def open(cls, home: Home, log: EventLog) -> OnlineFeatures:
        """Open the store of a home; raise NotYet where nothing was materialized."""
        require_store(home)
        return cls(home, log, Lake(home.lake).shop())

    @property
    def inputs(self) -> Inputs:
        """The inputs that models are given."""
        return self._view.inputs

    def read(self, customer_ids: Sequence[str], *, at: datetime) -> FeatureRows:
        """Read what is known of different customers at an instant, in their order.

        Raises
        ------
        OtherVectors
            A vector is of another feature list than the registry's.
        DamagedFile
            A vector has another length than its feature list, or the store cannot be read.
        EventLogFailed
            The event log does not answer.
        """
        view = self._view
        try:
            snapshot, as_of = self._snapshot(view, customer_ids)
        except OtherVectors:
            view = self._look_again(view)
            snapshot, as_of = self._snapshot(view, customer_ids)
        events = self._log.recent(customer_ids, since=at - REACH, known_before=at)
        cutoffs = list(as_of)
        for row, customer in enumerate(customer_ids):
            told = {event.event for event in events.get(customer, ())} if as_of[row] is None else set()
            if not told.isdisjoint(ORDER_EVENTS):  # what was received before the snapshot is not new to it
                cutoffs[row] = materialized_cutoff(self._home)
            if ORDER_COMPLETED in told:  # a first order since: it knows nothing of the customer
                as_of[row] = cutoffs[row]
        matrix = view.inputs.matrix(
            snapshot,
            [cutoff if cutoff is not None and cutoff <= at else None for cutoff in cutoffs],
            [events.get(customer, ()) for customer in customer_ids],
            at=[at] * len(customer_ids),
            zone=self._zone,
        )
        return FeatureRows(customer_ids=customer_ids, features=view.inputs.names, matrix=matrix, features_as_of=as_of)

    def require_readable(self) -> None:
        """Raise OtherVectors where the store was given vectors that are not read: of a list that is not known here."""
        held = materialized_list(self._home)
        view = self._view
        if held is not None and held[0] not in view.lists and held[0] not in (view := self._look_again(view)).lists:
            raise OtherVectors(held[0], feature_hash(view.inputs.snapshot))

    def _look_again(self, seen: _View) -> _View:
        """Read the registry anew, unless another thread just did; at most every few seconds."""
        with self._looking:
            if self._view is seen and time.monotonic() - self._looked_at > LOOK_AGAIN_SECONDS:
                self._looked_at = time.monotonic()
                self._view = _read_registry(self._home, seen.lists)
            return self._view

    def _snapshot(self, view: _View, customer_ids: Sequence[str]) -> tuple[NDArray[np.float32], list[datetime | None]]:
        column = self._column(view, customer_ids)
        place = {name: index for index, name in enumerate(view.inputs.snapshot)}
        matrix = np.full((len(customer_ids), len(place)), np.nan, dtype=np.float32)
        as_of: list[datetime | None] = [None] * len(customer_ids)
        for row, (value, stamp) in enumerate(zip(column.values, column.event_timestamps, strict=True)):
            if not value.bytes_val:
                continue
            try:
                known, vector = unpack(value.bytes_val)
            except ValueError as error:
                raise DamagedFile(self._place, f"a vector that is none: {error}", advice=ADVICE) from error
            names = view.lists.get(known)
            if names is None:
                raise OtherVectors(known, feature_hash(view.inputs.snapshot))
            if len(vector) != len(names):
                reason = f"a vector of {len(vector)} features, its list has {len(names)}"
                raise DamagedFile(self._place, reason, advice=ADVICE)
            if names == view.inputs.snapshot:
                matrix[row] = vector
            else:
                held = {place[name]: value for name, value in zip(names, vector, strict=True) if name in place}
                matrix[row, list(held)] = list(held.values())
            as_of[row] = stamp.ToDatetime(tzinfo=UTC)
        return matrix, as_of

    def _column(self, view: _View, customer_ids: Sequence[str]) -> GetOnlineFeaturesResponse.FeatureVector:
        # Feast's proto rather than its to_dict: that one boxes every value and drops fractions of a second.
        try:
            entities = {"customer_id": list(customer_ids)}
            proto = view.store.get_online_features(features=view.service, entity_rows=entities).proto
        except sqlite3.Error as error:
            raise DamagedFile(self._place, str(error), advice=ADVICE) from error
        return dict(zip(proto.metadata.feature_names.val, proto.results, strict=True))[VECTOR]


def _read_registry(home: Home, earlier: Mapping[str, tuple[str, ...]]) -> _View:
    from feast.errors import FeastObjectNotFoundException

    store = open_store(home)
    try:
        service = store.get_feature_service(SERVICE)
        expected: str = store.get_feature_view(VIEW).tags.get("feature_hash", "")
    except FeastObjectNotFoundException:
        raise NotYet(f"feature service {SERVICE!r} in Feast's registry", advice=ADVICE) from None
    registered = {field.name for view in store.list_feature_views() for field in view.features}
    names = tuple(name for name in NAMES if name in registered)
    if feature_hash(names) != expected:
        raise FeatureMismatch("the catalog", feature_hash(names), expected, where="Feast's registry")
    # What happens is answered before the lake has it: all live features, not only those the shop had so far.
    return _View(store, service, Inputs.of(names, LIVE_NEEDS), {**earlier, **_held_list(home), expected: names})


def _held_list(home: Home) -> dict[str, tuple[str, ...]]:
    """Return the list of the vectors in the store, where its features still mean what they meant.

    Between a build that has more features and its `materialize` it is not the registry's.
    """
    known, names = materialized_list(home) or ("", ())
    is_sound = bool(names) and set(names) <= set(NAMES) and feature_hash(names) == known
    return {known: names} if is_sound else {}


def open_online(home: Home, log: EventLog, champions: Mapping[str, TaskModel], *, at: datetime) -> OnlineFeatures:
    """Open what is known of customers, and see that it answers and has the features of every champion.

    Raises
    ------
    RegularsError
        It does not answer, or a champion asks for features that are not there.
    """
    online = OnlineFeatures.open(home, log)
    online.require_readable()
    for model in champions.values():
        places(model.label, model.features, online.inputs.names)
    online.read([NOBODY], at=at)
    return online


def require_store(home: Home) -> None:
    """Raise NotYet where the embedded stores do not exist; opening them would make empty ones."""
    for path, what in ((home.registry, "feature registry"), (home.online_store, "online store")):
        if not path.is_file():
            raise NotYet(f"{what} at {path}", advice=ADVICE)
