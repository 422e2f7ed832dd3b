"""A simulated shop's folder (`regulars simulate`), read where it lies; the truth beside it is never opened.

The tables are scanned as they are needed, so that a million customers do not pass through memory. Messages that were
delivered twice stand twice in the folder: the rule that sets the second aside does not count towards the limit.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis

from facts.errors import DamagedFile, NotYet
from facts.ingest.delivery import Delivery
from facts.lake import Shop

if TYPE_CHECKING:
    from ibis.expr.types import Table

NAME = "simulated"
SHOP_FILE = "shop.json"
TABLES = {
    "customers": "customers",
    "products": "products.parquet",
    "orders": "orders",
    "order_lines": "order_lines",
    "events": "events",
}
SECOND_DELIVERY = "message_id not repeated"


def read(folder: Path) -> Delivery:
    """Open the tables of a simulated shop.

    Raises
    ------
    NotYet
        There is no simulated shop in the folder.
    DamagedFile
        A file of it is missing, or is not what the simulator writes.
    """
    record = _record(folder)
    return Delivery(
        shop=_shop(folder, record),
        tables={name: _scan(folder / place) for name, place in TABLES.items()},
        notes=(f"{record.get('name')} is simulated: no customer, order or event of it is real",),
        tolerated=(SECOND_DELIVERY,),
    )


def _record(folder: Path) -> dict[str, Any]:
    path = folder / SHOP_FILE
    if not path.is_file():
        raise NotYet(f"simulated shop in {folder}", advice=f"run `regulars simulate --output {folder}` first")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("is_simulated") is not True:
        raise DamagedFile(path, "it is not the record of a simulated shop", advice="run `regulars simulate` again")
    return record


def _shop(folder: Path, record: dict[str, Any]) -> Shop:
    try:
        return Shop(
            name=record["name"],
            source=NAME,
            currency=record["currency"],
            timezone=record["timezone"],
            observed_from=datetime.fromisoformat(record["observed_from"]),
            observed_until=datetime.fromisoformat(record["observed_until"]),
            clock=record["clock"],
        )
    except (KeyError, TypeError, ValueError) as error:
        advice = "run `regulars simulate` again"
        raise DamagedFile(folder / SHOP_FILE, f"it lacks what it should say ({error})", advice=advice) from error


def _scan(path: Path) -> Table:
    """Return a table that is read from Parquet when it is computed, by whatever engine computes it."""
    import pyarrow.dataset

    advice = "run `regulars simulate` again"
    if not path.exists():
        raise DamagedFile(path, "it is missing", advice=advice)
    try:
        rows = pyarrow.dataset.dataset(path, format="parquet")
        for part in rows.get_fragments():
            part.ensure_complete_metadata()
        return ibis.memtable(rows)
    except (OSError, ValueError) as error:
        raise DamagedFile(path, "it is not Parquet", advice=advice) from error
