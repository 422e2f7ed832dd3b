"""The three shops: each one's home, what is asked of its customers, and where what then happened is read."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from facts.errors import RegularsError
from facts.home import Home
from facts.ingest import ingest, read_source, simulated
from facts.ingest.table import check_mapping, read, shipped_text
from facts.lake import Lake
from features.build import build_snapshots
from features.store import apply_definitions
from simulation.run import simulate
from training.tasks import TASKS, Task

if TYPE_CHECKING:
    from feast import FeatureStore

CDNOW_FROM, CDNOW_UNTIL = date(1997, 10, 1), date(1998, 7, 1)  # the hold-out: 39 weeks after 39 weeks
SIMULATED_CUSTOMERS, SIMULATED_DAYS, SIMULATED_SEED = 3_500, 480, 7
# The project's pipeline for amounts, asked for the number of orders: one record, as any new task would be.
ORDER_COUNT = replace(
    TASKS["clv"],
    outcome="orders",
    description="How many orders the customer places within the horizon",
    label=lambda t: t.order_count.cast("float64"),
)


class DataMissing(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A package that ships a shop's file is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A shop that was ingested and has its snapshots.

    Parameters
    ----------
    asked_days
        How far ahead is asked, where that is not the project's own choice: the labels of training look less far.
    outcomes
        The lake in which what happened is read; the home's own, unless that ends where the question begins.
    truth
        Folder of the true parameters, of a simulated shop.
    """

    name: str
    title: str
    home: Home
    store: FeatureStore
    tasks: Mapping[str, Task]
    outcomes: Lake
    asked_days: int | None = None
    truth: Path | None = None

    @property
    def lake(self) -> Lake:
        """What the shop knows."""
        return Lake(self.home.lake)


def _complete_journey(work: Path) -> Shop:
    home = Home(work / "complete-journey")
    ingest(read_source("complete-journey"), Lake(home.lake), mode="replace")
    return _built("complete-journey", "Complete Journey (a grocer)", home)


def _simulated(work: Path) -> Shop:
    home, folder = Home(work / "simulated"), work / "simulated-shop"
    simulate(customers=SIMULATED_CUSTOMERS, seed=SIMULATED_SEED, days=SIMULATED_DAYS, output=folder)
    ingest(simulated.read(folder), Lake(home.lake))
    return replace(_built("simulated", "Simulated shop", home), truth=folder)


def _cdnow(work: Path) -> Shop:
    """Make two lakes: the shop's, which ends with the calibration period, and the whole record."""
    home, whole = Home(work / "cdnow"), Lake(work / "cdnow-whole")
    orders = _cdnow_sample()
    _ingest_cdnow(orders, Lake(home.lake), until=CDNOW_FROM)
    _ingest_cdnow(orders, whole, until=CDNOW_UNTIL)
    tasks = {"repurchase": TASKS["repurchase"], "clv": TASKS["clv"], "order_count": ORDER_COUNT}
    built = _built("cdnow", "CDNOW (one customer in ten)", home, tasks)
    return replace(built, outcomes=whole, asked_days=(CDNOW_UNTIL - CDNOW_FROM).days)


def _cdnow_sample() -> list[tuple[str, str, int, Decimal]]:
    """Read the published sample of 2,357 customers: customer, day, CDs and dollars; a day's orders are one.

    So they are in the published figures, which count days with an order.
    """
    spec = find_spec("lifetimes")
    if spec is None or spec.origin is None:
        raise DataMissing("CDNOW comes with the package lifetimes, which is not installed: `make bench-models`")
    days: dict[tuple[str, str], tuple[int, Decimal]] = {}
    text = (Path(spec.origin).parent / "datasets" / "CDNOW_sample.txt").read_text("ascii")
    for customer, _number, day, units, dollars in (line.split() for line in text.splitlines() if line.strip()):
        before = days.get((customer, day), (0, Decimal(0)))
        days[customer, day] = before[0] + int(units), before[1] + Decimal(dollars)
    return [(*key, *values) for key, values in days.items()]


def _ingest_cdnow(orders: Iterable[tuple[str, str, int, Decimal]], lake: Lake, *, until: date) -> None:
    """Ingest the orders before a day, in the form of the master file, as the whole record."""
    lake.folder.parent.mkdir(parents=True, exist_ok=True)
    file = lake.folder.with_suffix(".txt")
    kept = [" ".join(map(str, order)) for order in orders if order[1] < f"{until:%Y%m%d}"]
    file.write_text("\n".join(["customer_id date number_of_cds dollar_value", *kept]) + "\n", "ascii")
    told = tomllib.loads(shipped_text("cdnow"))
    told["shop"]["observed_until"] = until
    at = datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(days=1)
    mapping = check_mapping(told, origin="cdnow")
    ingest(read([file], mapping, staging=lake.folder.with_suffix(".staging"), at=at), lake)


def _built(name: str, title: str, home: Home, tasks: Mapping[str, Task] | None = None) -> Shop:
    lake = Lake(home.lake)
    build_snapshots(lake)
    chosen = tasks or {task: TASKS[task] for task in ("repurchase", "churn", "clv")}
    return Shop(name=name, title=title, home=home, store=apply_definitions(home), tasks=chosen, outcomes=lake)


SHOPS: Mapping[str, Callable[[Path], Shop]] = {
    "complete-journey": _complete_journey,
    "cdnow": _cdnow,
    "simulated": _simulated,
}
