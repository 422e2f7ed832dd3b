"""From the snapshots to the online store."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from facts.errors import DamagedFile
from facts.event_log import event_log_from_environment
from facts.home import Home, require_sqlite
from facts.lake import Lake, replace_file
from features.lake_events import events_since, held_orders
from features.live import REACH
from features.snapshots import SNAPSHOTS, VECTORS, last_cutoff
from features.store import TTL, let_readers_pass, quietly

if TYPE_CHECKING:
    from feast import FeatureStore

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
    replace_file(home.folder / ONLINE_NOTE, json.dumps({"features_as_of": cutoff.isoformat()}))
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
    path = home.folder / ONLINE_NOTE
    try:
        return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["features_as_of"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(path, "it is not what was written", advice="run `regulars materialize` again") from error
