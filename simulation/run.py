"""The way in: simulate a shop into a folder, chunk after chunk, so that memory does not grow with its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from simulation.behaviour import World, draw_behaviour
from simulation.clock import instant
from simulation.messages import names_of, segment_lines
from simulation.settings import CHUNK_CUSTOMERS, CURRENCY, MIN_DAYS, SETTINGS, TIMEZONE, CannotSimulate, Settings
from simulation.tables import fact_tables
from simulation.truth import truth_tables
from simulation.write import ShopWriter, new_folder

FACT_TABLES = ("customers", "orders", "order_lines", "events")
TRUTH_TABLES = ("customers", "effects", "sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What was written: the folder, and how many rows of each table of customers, orders and events."""

    folder: Path
    rows: Mapping[str, int]


def simulate(
    *,
    customers: int,
    seed: int,
    days: int,
    output: Path,
    has_browsing: bool = True,
    has_json_lines: bool = False,
    settings: Settings = SETTINGS,
    on_step: Callable[[int, int], None] = lambda _done, _total: None,
) -> Simulated:
    """Write a shop whose customers' true parameters are known: its files, and apart from them the truth.

    Parameters
    ----------
    customers
        How many; the first of them are the same however many follow.
    seed
        The same seed, settings and days give the same bytes, with the same numpy and pyarrow.
    days
        Length of the record, which ends on 1 January 2025 at midnight UTC.
    output
        A new or empty folder. It appears when all of it is written.
    has_browsing
        Whether page and cart events are written: most of the volume. All else is the same without them.
    has_json_lines
        Whether the events are also written as Segment's track messages (`events.jsonl`, one a line, with `receivedAt`).
    on_step
        Called with the customers done, and all.

    Raises
    ------
    CannotSimulate
        The folder is not empty, or a number is out of range.
    """
    _require(customers, seed, days)
    world = World.of(seed=seed, days=days, settings=settings)
    rows = dict.fromkeys(FACT_TABLES, 0)
    with new_folder(output) as folder:
        with ShopWriter(folder, facts=FACT_TABLES, truth=TRUTH_TABLES, has_json_lines=has_json_lines) as writer:
            writer.write_products(world.catalogue.table())
            for chunk in range(-(-customers // CHUNK_CUSTOMERS)):
                count = min(CHUNK_CUSTOMERS, customers - chunk * CHUNK_CUSTOMERS)
                made = make_chunk(world, chunk, count, has_browsing=has_browsing, has_json_lines=has_json_lines)
                writer.write_chunk(made.facts, made.truth, made.json_lines, customers=count)
                rows = {name: total + made.facts[name].num_rows for name, total in rows.items()}
                on_step(chunk * CHUNK_CUSTOMERS + count, customers)
        writer.write_json("shop.json", shop_record(world, customers, has_browsing=has_browsing))
        writer.write_json("truth/settings.json", asdict(settings))
    return Simulated(folder=output, rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The first customers of a chunk: the shop's tables by name, the truth's, and the events as lines of JSON."""

    facts: Mapping[str, pa.Table]
    truth: Mapping[str, pa.Table]
    json_lines: bytes


def make_chunk(
    world: World, chunk: int, count: int, *, has_browsing: bool = True, has_json_lines: bool = False
) -> Chunk:
    """Draw a chunk and make its tables."""
    drawn = draw_behaviour(world, chunk)
    names = names_of(world, drawn)
    facts = fact_tables(world, drawn, names, count=count, has_browsing=has_browsing)
    lines = b""
    if has_json_lines:
        customer = pc.index_in(facts["events"]["customer_id"], names.customers).to_numpy()
        lines = segment_lines(facts["events"], drawn.customers.zone[customer], world.settings)
    return Chunk(facts=facts, truth=truth_tables(world, drawn, names, count=count), json_lines=lines)


def shop_record(world: World, customers: int, *, has_browsing: bool = True) -> dict[str, Any]:
    """Return what holds of the shop as a whole; it says of itself that it is simulated."""
    record = world.clocks.record
    return {
        "name": f"Simulated shop (seed {world.seed})",
        "is_simulated": True,
        "currency": CURRENCY,
        "timezone": TIMEZONE,
        "observed_from": instant(record.start).isoformat(),
        "observed_until": instant(record.end).isoformat(),
        "clock": "standing",
        "seed": world.seed,
        "customers": customers,
        "days": record.days,
        "has_browsing": has_browsing,
    }


def _require(customers: int, seed: int, days: int) -> None:
    wanted = (("customers", customers, 1), ("seed", seed, 0), ("days", days, MIN_DAYS))
    for name, value, least in wanted:
        if value < least:
            raise CannotSimulate(f"{name} must be at least {least}, not {value}")
