"""A small shop to train on: neither recency nor a count alone tells who is due."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

from facts.home import Home
from facts.ingest import ingest
from facts.lake import Lake
from tests.builders import EPOCH, Line, Order, at, delivery, rows_of
from tests.processes import regulars

DAYS, CYCLES_DAYS = 160, (3, 7, 14, 28)


def clockwork_lake(folder: Path) -> Path:
    """Make a lake with snapshots, and return its folder."""
    home = Home(folder / "home")
    made = delivery(rows_of(_orders()))
    shop = replace(made.shop, observed_from=EPOCH, observed_until=at(DAYS), clock="standing")
    ingest(replace(made, shop=shop), Lake(home.lake))
    built = regulars("features", "build", home=home)
    assert built.code == 0, built.err
    return home.lake


def home_on(lake: Path, folder: Path) -> Home:
    """Return a new home on a copy of a lake."""
    home = Home(folder / "home")
    shutil.copytree(lake, home.lake)
    return home


def _orders() -> list[Order]:
    """Customers who come like clockwork, each at their own pace."""
    chance = random.Random(7)  # noqa: S311 - test data
    return [
        Order(customer=f"c{number}", at=at(day, 10 * chance.random()), lines=(Line(net=str(1 + number % 5)),))
        for number in range(160)
        for day in range(number % CYCLES_DAYS[number % 4], DAYS, CYCLES_DAYS[number % 4])
    ]
