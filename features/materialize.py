"""From the snapshots to the online store."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from facts.errors import DamagedFile
from facts.event_log import event_log_from_environment
from facts.home import Home, require_sqlite
from facts.lake import Lake, replace_file
from features.catalog import feature_hash
from features.lake_events import events_since, held_orders
from features.live import REACH
from features.snapshots import SNAPSHOTS, VECTORS, last_cutoff, snapshot_names
from features.store import TTL, let_readers_pass, quietly

if TYPE_CHECKING:
    from feast import FeatureStore

T = TypeVar("T")

SERVED_VIEW = "customer_vector"
ONLINE_NOTE = "online.json"  # beside the online store: which snapshot it holds


def materialize(store: FeatureStore, home: Home, *, as_of: datetime, views: Sequence[str] = (SERVED_VIEW,)) -> datetime:
    """Bring the last snapshot at or before an instant into the online store, and return its cutoff.

    By default only the vector that the endpoint reads; the named views, for Feast users, cost some ten times as much.

    Raises
    ------
    NotYet
        No snapshot is that old.
    DamagedFile
        A snapshot is not as it was written; the online store stays as it was.
    """
    lake = Lake(home.lake)
    cutoff = last_cutoff(lake, as_of=as_of)
    for table in {VECTORS if view == SERVED_VIEW else SNAPSHOTS for view in views}:
        lake.stored(table)  # all its parts: Feast opens every file of the folder, and misses none
    require_sqlite(home.online_store, advice="remove it and run `regulars materialize` again")
    with _without_collector():
        hold_orders(home)  # before the vectors: no order of theirs may count as a new one for a moment
    with quietly(), _without_collector():
        end = cutoff + timedelta(microseconds=1)
        store.materialize(start_date=cutoff - TTL, end_date=end, feature_views=list(views))
    let_readers_pass(home)
    with _without_collector():
        seed_events(home, cutoff=cutoff)
    names = snapshot_names(lake)
    note = {"features_as_of": cutoff.isoformat(), "feature_list": feature_hash(names), "features": names}
    replace_file(home.folder / ONLINE_NOTE, json.dumps(note))
    return cutoff


@contextmanager
def _without_collector() -> Iterator[None]:
    """Leave the garbage collector out: among a hundred thousand messages without cycles it would look for some."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def hold_orders(home: Home) -> None:
    """Tell the event log which orders the lake has: their events are not new, and no other customer's."""
    log = event_log_from_environment(home)
    try:
        log.hold(held_orders(Lake(home.lake)))
    finally:
        log.close()


def seed_events(home: Home, *, cutoff: datetime) -> int:
    """Bring the lake's last events to the event log, so that what came as a file is live too; return how many."""
    log = event_log_from_environment(home)
    try:
        return log.seed(events_since(Lake(home.lake), cutoff - REACH))
    finally:
        log.close()


def materialized_cutoff(home: Home) -> datetime | None:
    """Return the cutoff of the snapshot that the online store holds, None before the first materialization."""
    return _noted(home, lambda note: datetime.fromisoformat(note["features_as_of"]))


def materialized_list(home: Home) -> tuple[str, tuple[str, ...]] | None:
    """Return the feature list of the vectors that the online store holds, as its hash and its names.

    None before the first materialization, and where an earlier version, which noted no list, made it.
    """
    return _noted(home, lambda note: (note["feature_list"], tuple(note["features"])) if "features" in note else None)


def _noted(home: Home, read: Callable[[Any], T]) -> T | None:
    path = home.folder / ONLINE_NOTE
    try:
        return read(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(path, "it is not what was written", advice="run `regulars materialize` again") from error
