"""From the lake's facts to the two snapshot tables, and from those to the online store."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import ibis
import pandas as pd

import features.snapshot
from facts.errors import DamagedFile, GateFailed, NotYet
from facts.home import Home, require_sqlite
from facts.lake import Lake, Shop, Stored, replace_file, short_hash
from features.catalog import FEATURES, NAMES, feature_hash
from features.snapshot import NEEDED_FACTS, snapshot
from features.store import SNAPSHOTS, TTL, VECTORS, let_readers_pass, quietly

if TYPE_CHECKING:
    from feast import FeatureStore

STEP_DAYS = 14
LEAST_HISTORY_DAYS = 28
SERVED_VIEW = "customer_vector"
ONLINE_NOTE = "online.json"  # beside the online store: which snapshot it holds
ADVICE = "run `regulars features build` again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The snapshots as they stand: their cutoffs, and whether this call had to compute them."""

    stored: Stored
    cutoffs: tuple[datetime, ...]
    was_built: bool


def default_cutoffs(shop: Shop, *, step_days: int = STEP_DAYS) -> tuple[datetime, ...]:
    """Choose the cutoffs: the shop's midnights every `step_days`, back from the end of its record.

    The first leaves at least four weeks of history before it.

    Raises
    ------
    GateFailed
        The record is shorter than that.
    """
    until = pd.Timestamp(shop.observed_until).tz_convert(shop.timezone)
    history_days = (shop.observed_until - shop.observed_from).days
    if history_days < LEAST_HISTORY_DAYS:
        raise GateFailed("days of history", needed=str(LEAST_HISTORY_DAYS), found=str(history_days))
    count = (history_days - LEAST_HISTORY_DAYS) // step_days + 1
    local = [until.normalize() - pd.DateOffset(days=step_days * back) for back in range(count)]
    return tuple(instant.tz_convert("UTC").to_pydatetime() for instant in reversed(local))


def build_snapshots(lake: Lake, cutoffs: Iterable[datetime] | None = None) -> Built:
    """Compute the snapshots and write them where Feast reads them; nothing is done where they stand already."""
    chosen = tuple(cutoffs) if cutoffs is not None else default_cutoffs(lake.shop())
    made_from = {
        "facts": lake.digest(*NEEDED_FACTS),
        "definitions": _definitions(),
        "cutoffs": [cutoff.isoformat() for cutoff in chosen],
    }
    if (stored := _standing(lake, made_from)) is not None:
        return Built(stored=stored, cutoffs=chosen, was_built=False)
    with lake.connect() as connection:
        facts = {name: lake.table(connection, name) for name in NEEDED_FACTS}
        stored = lake.commit_fixed(SNAPSHOTS, snapshot(facts, chosen), made_from=made_from)
    with lake.connect() as connection:
        rows = lake.table(connection, SNAPSHOTS, advice=ADVICE)
        lake.commit_fixed(VECTORS, as_vectors(rows), made_from=made_from)
    return Built(stored=stored, cutoffs=chosen, was_built=True)


def as_vectors(rows: ibis.Table, names: Sequence[str] = NAMES) -> ibis.Table:
    """Pack the features of a snapshot into one vector per row, missing values as NaN."""
    vector = ibis.array([rows[name].fill_null(float("nan")).cast("float32") for name in names])
    return rows.select("customer_id", "cutoff", features=vector, feature_hash=ibis.literal(feature_hash(tuple(names))))


def snapshot_cutoffs(lake: Lake) -> tuple[datetime, ...]:
    """Return the cutoffs of the snapshots that stand; raise NotYet where there are none."""
    stored = lake.stored(SNAPSHOTS, advice=ADVICE)
    return tuple(datetime.fromisoformat(cutoff) for cutoff in stored.made_from["cutoffs"])


def materialize(store: FeatureStore, home: Home, *, as_of: datetime, views: Sequence[str] = (SERVED_VIEW,)) -> datetime:
    """Bring the last snapshot at or before an instant into the online store, and return its cutoff.

    By default only the vector that the endpoint reads; the named views, for Feast users, cost some ten times as much.

    Raises
    ------
    NotYet
        No snapshot is that old.
    """
    lake = Lake(home.lake)
    cutoffs = [cutoff for cutoff in snapshot_cutoffs(lake) if cutoff <= as_of]
    if not cutoffs:
        raise NotYet(f"snapshot at or before {as_of.isoformat()}", advice="choose a later instant")
    cutoff = max(cutoffs)
    require_sqlite(home.online_store, advice="remove it and run `regulars materialize` again")
    with quietly():
        end = cutoff + timedelta(microseconds=1)
        store.materialize(start_date=cutoff - TTL, end_date=end, feature_views=list(views))
    let_readers_pass(home)
    replace_file(home.folder / ONLINE_NOTE, json.dumps({"features_as_of": cutoff.isoformat()}))
    return cutoff


def materialized_cutoff(home: Home) -> datetime | None:
    """Return the cutoff of the snapshot that the online store holds, None before the first materialization."""
    path = home.folder / ONLINE_NOTE
    try:
        return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["features_as_of"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(path, "it is not what was written", advice="run `regulars materialize` again") from error


def _definitions() -> str:
    """Return one short hash of what the features mean: their records, and the code that compiles them."""
    return short_hash([[repr(feature) for feature in FEATURES], inspect.getsource(features.snapshot)])


def _standing(lake: Lake, made_from: Mapping[str, object]) -> Stored | None:
    try:
        both = [lake.stored(name) for name in (SNAPSHOTS, VECTORS)]
    except (NotYet, DamagedFile):
        return None
    return both[0] if all(stored.made_from == made_from for stored in both) else None
