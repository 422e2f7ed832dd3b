"""Recommendations for every customer as of an instant, into a file: the lists of the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from facts.lake import Lake
from features.lake_events import read_events
from features.live import REACH
from features.recommending.asking import ASKING_EVENTS, ask
from features.recommending.candidates import Asked
from features.recommending.category_map import CategoryMap, map_categories
from features.recommending.grouped import places
from features.recommending.night import ShopNight
from scoring.batch import write_tables
from scoring.ranker import Ranker
from scoring.recommend import Due, Floats, Lists, Wish, explain, recommend

CHUNK = 2_000  # customers at a time


def recommend_lake(
    lake: Lake,
    night: ShopNight,
    ranker: Ranker,
    output: Path,
    wish: Wish,
    *,
    as_of: datetime,
    on_chunk: Callable[[int], None] = lambda _done: None,
) -> int:
    """Write a row per customer and product: customer_id, place (from 1), product_id, score, reason, source, model.

    Where what is due is asked for, also in how many days its usual gap is over, how likely it comes within the horizon,
    and in how many days a tenth, half and nine tenths of what comes are there.

    Customers are those whose baskets the night knows; events of the lake that were known at the instant count.

    Returns
    -------
    The number of customers.
    """

    def table(customers: list[str], asked: Asked) -> pa.Table:
        lists = recommend(night, ranker, asked, wish)
        reasons = explain(night, asked, lists)
        return _table(night, ranker, customers, lists, [(why.reason, why.source) for why in reasons])

    return _write(lake, night, output, table, as_of=as_of, on_chunk=on_chunk)


def map_lake(
    lake: Lake,
    night: ShopNight,
    output: Path,
    *,
    count: int,
    as_of: datetime,
    on_chunk: Callable[[int], None] = lambda _done: None,
) -> int:
    """Write the product affinity map: a row per customer and category, the most probable first, `count` of each.

    Columns: customer_id, place (from 1), category, then those of `features.recommending.category_map.CategoryMap`.

    Returns
    -------
    The number of customers.
    """

    def table(customers: list[str], asked: Asked) -> pa.Table:
        return _map_table(night, customers, map_categories(night, asked, count=count))

    return _write(lake, night, output, table, as_of=as_of, on_chunk=on_chunk)


def _write(
    lake: Lake,
    night: ShopNight,
    output: Path,
    table: Callable[[list[str], Asked], pa.Table],
    *,
    as_of: datetime,
    on_chunk: Callable[[int], None],
) -> int:
    """Write what a function makes of every customer of the night, some at a time."""
    ids = night.histories.customer_ids

    def tables() -> Iterator[pa.Table]:
        for start in range(0, len(ids), CHUNK):
            customers = [ids.text(number) for number in range(start, min(start + CHUNK, len(ids)))]
            events = read_events(lake, customers, names=ASKING_EVENTS, since=as_of - REACH, until=as_of)
            yield table(customers, ask(night, customers, events, at=as_of))
            on_chunk(start + len(customers))

    write_tables(tables(), output)
    return len(ids)


def _map_table(night: ShopNight, customers: list[str], found: CategoryMap) -> pa.Table:
    names = night.category_names
    figures = {
        "probability": found.probability,
        "affinity": found.affinity,
        "basket_count": found.basket_count,
        "recency_days": found.recency_days,
        "due_days": found.due_days,
        "again_probability": found.again_probability,
        **_days(found.interval),
    }
    return pa.table(
        {
            "customer_id": pa.array([customers[number] for number in found.customer.tolist()], pa.string()),
            "place": pa.array(places(found.customer) + 1, pa.int64()),
            "category": pa.array([names.text(number) for number in found.category.tolist()], pa.string()),
            **{name: pa.array(of, from_pandas=True) for name, of in figures.items()},
        }
    )


def _days(interval: Floats) -> dict[str, Floats]:
    return {name: interval[:, number] for number, name in enumerate(("p10_days", "p50_days", "p90_days"))}


def _table(
    night: ShopNight, ranker: Ranker, customers: list[str], lists: Lists, reasons: list[tuple[str, str]]
) -> pa.Table:
    place = places(lists.customer) + 1
    due = {} if lists.due is None else _due_columns(lists.due)
    return pa.table(
        {
            "customer_id": pa.array([customers[number] for number in lists.customer.tolist()], pa.string()),
            "place": pa.array(place, pa.int64()),
            "product_id": pa.array(
                [night.catalog.product_ids.text(number) for number in lists.product.tolist()], pa.string()
            ),
            "score": pa.array(lists.score, pa.float64()),
            "reason": pa.array([reason for reason, _ in reasons], pa.string()),
            "source": pa.array([source for _, source in reasons], pa.string()),
            "model": pa.repeat(pa.scalar(ranker.label, pa.string()), len(reasons)),
            **due,
        }
    )


def _due_columns(due: Due) -> dict[str, pa.Array]:
    columns = {"due_days": due.due_days, "probability": due.probability, **_days(due.interval)}
    return {name: pa.array(figures, pa.float64(), from_pandas=True) for name, figures in columns.items()}
