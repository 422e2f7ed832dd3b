"""The snapshots that stand in the lake: one part per cutoff, as named features and as vectors."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from facts.errors import NotYet
from facts.lake import PARTS_ADVICE as ADVICE
from facts.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ibis.backends.duckdb import Backend
    from ibis.expr.types import Table

SNAPSHOTS = "customer_snapshots"  # one row per customer and cutoff, a column per feature
VECTORS = "customer_vectors"  # the same rows, the features as one vector in catalog order
VECTOR = "features"  # the column of the vector (`features.vectors`)
_KEY = "%Y%m%dT%H%M%S.%fZ"


def part_key(cutoff: datetime) -> str:
    """Return the name of a cutoff's part."""
    return cutoff.astimezone(UTC).strftime(_KEY)


def standing_cutoffs(lake: Lake) -> tuple[datetime, ...]:
    """Return the cutoffs that have snapshots, in time order; none where nothing was built."""
    return tuple(datetime.strptime(key, _KEY).replace(tzinfo=UTC) for key in lake.parts(SNAPSHOTS))


def snapshot_cutoffs(lake: Lake) -> tuple[datetime, ...]:
    """Return the cutoffs of the snapshots that stand, in time order; raise NotYet where there are none."""
    if not (cutoffs := standing_cutoffs(lake)):
        raise NotYet(f"table {SNAPSHOTS!r} in the lake", advice=ADVICE)
    return cutoffs


def last_cutoff(lake: Lake, *, as_of: datetime) -> datetime:
    """Return the last cutoff at or before an instant; raise NotYet where no snapshot is that old."""
    cutoffs = [cutoff for cutoff in snapshot_cutoffs(lake) if cutoff <= as_of]
    if not cutoffs:
        raise NotYet(f"snapshot at or before {as_of.isoformat()}", advice="choose a later instant")
    return max(cutoffs)


def snapshot_names(lake: Lake) -> tuple[str, ...]:
    """Return the features of the snapshots, in their order."""
    snapshot_cutoffs(lake)
    *_, last = lake.parts(SNAPSHOTS).values()
    path = lake.folder / lake.checked(last, advice=ADVICE).file
    return _feature_columns(path, path.stat().st_mtime_ns)


def read_snapshots(lake: Lake, connection: Backend, cutoffs: Iterable[datetime]) -> Table:
    """Open the snapshots of some cutoffs."""
    parts = lake.parts(SNAPSHOTS)
    files = [lake.folder / lake.checked(parts[part_key(c)], advice=ADVICE).file for c in cutoffs]
    return connection.read_parquet(files)


@lru_cache(maxsize=8)
def _feature_columns(path: Path, _changed: int) -> tuple[str, ...]:
    import pyarrow.parquet as pq

    return tuple(name for name in pq.read_schema(path).names if name not in {"customer_id", "cutoff"})
