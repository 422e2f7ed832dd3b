"""From the lake's facts to the snapshots: what stands stays, new cutoffs are added, customers touched are redone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis import _

from facts.contracts import INSTANT
from facts.errors import GateFailed
from facts.lake import Lake, Shop, Stored, short_hash
from facts.merge import TOUCHED
from features import bg_nbd, bg_nbd_orders, known, lifetime, measures
from features import snapshot as snapshot_module
from features.bg_nbd import BgNbd
from features.catalog import Feature, names_of, of_shop
from features.engines import Engine, open_engine, require_engine
from features.lifetime import fit_parameters, with_lifetime
from features.snapshot import snapshot
from features.snapshots import SNAPSHOTS, VECTOR, VECTORS, part_key, standing_cutoffs
from features.vectors import pack

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

STEP_DAYS = 14
LEAST_HISTORY_DAYS = 28
ROWS_A_PASS = 1_000_000  # customers times cutoffs that are computed in one statement
ROW = ["customer_id", "cutoff"]
Step = Callable[[str], None]
_MODULES = (snapshot_module, known, measures, lifetime, bg_nbd, bg_nbd_orders)  # what gives the features their values


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The snapshots as they stand, and what this call did for them."""

    stored: Stored
    cutoffs: tuple[datetime, ...]
    names: tuple[str, ...]
    computed: tuple[datetime, ...]  # cutoffs that were built whole
    touched: Mapping[datetime, int]  # cutoffs in which some customers were computed again, and how many

    @property
    def was_built(self) -> bool:
        """Whether anything had to be computed."""
        return bool(self.computed or self.touched)


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


def next_cutoffs(lake: Lake, *, step_days: int | None = None) -> tuple[datetime, ...]:
    """Choose the cutoffs of a build: those that stand, and new ones up to the end of the record.

    A new day adds its midnight. Where snapshots stand and no step is given, none is added between them.
    """
    standing, chosen = standing_cutoffs(lake), default_cutoffs(lake.shop(), step_days=step_days or STEP_DAYS)
    if standing and step_days is None:
        chosen = tuple(cutoff for cutoff in chosen if cutoff > standing[-1])
    return tuple(sorted({*standing, *chosen}))


def build_snapshots(
    lake: Lake,
    cutoffs: Iterable[datetime] | None = None,
    *,
    step_days: int | None = None,
    engine: str = "duckdb",
    on_step: Step = lambda _said: None,
) -> Built:
    """Bring the snapshots up to what the lake knows, at the cutoffs given and at those that stand.

    A part that stands is left alone, file and all, unless facts have been committed since that had been received before
    its cutoff: then their customers are computed again, with the parameters that were fitted then. Other definitions
    build everything anew.

    Raises
    ------
    UnknownName
        There is no such engine, whether or not anything has to be computed.
    """
    require_engine(engine)
    with lake.locked(), lake.connect() as connection:
        builder = _Builder(lake, connection)
        asked = next_cutoffs(lake, step_days=step_days) if cutoffs is None else {*cutoffs, *standing_cutoffs(lake)}
        whole = [cutoff for cutoff in sorted(asked) if not builder.stands(cutoff)]
        late = {cutoff: builder.touched(cutoff) for cutoff in sorted(asked) if cutoff not in whole}
        touched = {cutoff: customers for cutoff, customers in late.items() if customers}
        if whole or touched:
            with open_engine(engine, lake) as opened:
                for some in _passes(whole, builder.customer_count):
                    on_step(f"{some[0]:%Y-%m-%d} to {some[-1]:%Y-%m-%d} on {engine}")
                    builder.build(some, opened)
                for cutoff, customers in touched.items():
                    on_step(f"{len(customers):,} customers at {cutoff:%Y-%m-%d} again")
                    builder.rebuild(cutoff, customers, opened)
        return Built(
            stored=lake.stored(SNAPSHOTS),
            cutoffs=standing_cutoffs(lake),
            names=names_of(builder.features),
            computed=tuple(whole),
            touched={cutoff: len(customers) for cutoff, customers in touched.items()},
        )


def snapshot_as_known(lake: Lake, cutoff: datetime, *, known_at: datetime) -> pd.DataFrame:
    """Compute what had been known at one instant about customers as of another; nothing is written.

    Returns one row per customer: customer_id, cutoff, then the features but for those of `features.lifetime`.
    """
    with lake.connect() as connection, open_engine("duckdb", lake) as opened:
        frame: pd.DataFrame = _Builder(lake, connection).compute([cutoff], opened, known_at=known_at).to_pandas()
    return frame


class _Builder:
    """One build of a lake's snapshots; `connection` looks at the lake, whatever engine computes."""

    def __init__(self, lake: Lake, connection: Backend) -> None:
        self._lake, self._connection, self._shop = lake, connection, lake.shop()
        self.features = of_shop(self._shop.has)
        self._definitions = definitions_of(self.features, observed_from=self._shop.observed_from)
        others = {"returns": "return", "cancellations": "cancelled"}
        self._kinds = ("sale", *(kind for what, kind in others.items() if what in self._shop.has))
        orders = lake.table(connection, "orders")
        counted = orders.agg(customers=_.customer_id.nunique(), corrected=_.superseded_at.count()).execute().iloc[0]
        self._has_corrections = bool(counted["corrected"])
        self.customer_count = max(1, int(counted["customers"]))

    def stands(self, cutoff: datetime) -> bool:
        key = part_key(cutoff)
        parts = [self._lake.parts(name).get(key) for name in (SNAPSHOTS, VECTORS)]
        return all(
            part is not None and part.made_from["definitions"] == self._definitions and self._lake.is_whole(part)
            for part in parts
        )

    def touched(self, cutoff: datetime) -> list[str]:
        """Return the customers of whom more was received before the cutoff than was known when it was computed."""
        part = self._lake.parts(SNAPSHOTS)[part_key(cutoff)]
        changes = self._lake.table(self._connection, TOUCHED)
        before = ibis.literal(cutoff, INSTANT)
        late = changes.filter((changes.commit > part.made_from["commit"]) & (changes.known_from < before))
        found = late.select("customer_id").distinct().order_by("customer_id").execute()
        return [str(customer) for customer in found["customer_id"]]

    def compute(self, cutoffs: Sequence[datetime], engine: Engine, **only: Any) -> pa.Table:  # noqa: ANN401 - passed on
        expression = snapshot(
            engine.facts,
            cutoffs,
            self.features,
            observed_from=self._shop.observed_from,
            kinds=self._kinds,
            has_corrections=self._has_corrections,
            **only,
        )
        rows = engine.compute(expression)
        types = {"customer_id": pa.string(), "cutoff": pa.timestamp("us", tz="UTC")}
        return rows.cast(pa.schema([(name, types.get(name, pa.float32())) for name in rows.column_names]))

    def build(self, cutoffs: Sequence[datetime], engine: Engine) -> None:
        rows = self.compute(cutoffs, engine)
        for cutoff in cutoffs:
            here = rows.filter(pc.equal(rows["cutoff"], pa.scalar(cutoff, pa.timestamp("us", tz="UTC"))))
            parameters = fit_parameters(here)
            told = asdict(parameters) if isinstance(parameters, BgNbd) else {"missing": parameters}
            self._commit(cutoff, self._complete(here, told), told)

    def rebuild(self, cutoff: datetime, customers: Sequence[str], engine: Engine) -> None:
        part = self._lake.parts(SNAPSHOTS)[part_key(cutoff)]
        asked = ibis.memtable({"customer_id": customers}, schema={"customer_id": "string"})
        kept = part.made_from["lifetime"]
        again = self._complete(self.compute([cutoff], engine, customers=asked), kept)
        standing = pq.read_table(self._lake.folder / part.file)
        others = standing.filter(pc.invert(pc.is_in(standing["customer_id"], pa.array(customers, pa.string()))))
        self._commit(cutoff, pa.concat_tables([others, again]).sort_by("customer_id"), kept)

    def _complete(self, rows: pa.Table, told: Mapping[str, Any]) -> pa.Table:
        with_all = with_lifetime(rows, self.features, None if "missing" in told else told)
        return with_all.select([*ROW, *names_of(self.features)])

    def _commit(self, cutoff: datetime, rows: pa.Table, lifetime: Mapping[str, Any]) -> None:
        made_from = {
            "definitions": self._definitions,
            "commit": self._lake.commit_count(),
            "lifetime": dict(lifetime),
        }
        vectors = pack(rows, names_of(self.features))
        tables = {SNAPSHOTS: rows, VECTORS: rows.select(ROW).append_column(VECTOR, vectors)}
        self._lake.commit_part(part_key(cutoff), tables, made_from=made_from)


def definitions_of(shop_features: Sequence[Feature], *, observed_from: datetime) -> str:
    """Return one short hash of what the features mean: their records, and the code that compiles them.

    Where the record begins is part of it for features that look a year back, which are missing before it.
    """
    code = [inspect.getsource(module) for module in _MODULES]
    begins = observed_from.isoformat() if any(f.ago_days is not None for f in shop_features) else ""
    return short_hash([[repr(feature) for feature in shop_features], code, begins])


def _passes(cutoffs: Sequence[datetime], customer_count: int) -> list[Sequence[datetime]]:
    size = max(1, ROWS_A_PASS // customer_count)
    return [cutoffs[start : start + size] for start in range(0, len(cutoffs), size)]
