"""Small files of a shop, the mapping that reads them, and what comes of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping as Dict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facts.ingest import Ingested, ingest
from facts.ingest.delivery import Delivery
from facts.ingest.table import check_mapping, read
from facts.lake import Lake

DELIVERED_AT = datetime(2026, 1, 1, tzinfo=UTC)
LINES: Dict[str, Any] = {
    "shop": {"name": "Corner", "currency": "EUR"},
    "file": {"row": "line"},
    "time": {"zone": "Europe/Berlin"},
    "columns": {
        "order_id": "Order",
        "customer_id": "Customer",
        "ordered_at": "Date",
        "product_id": "Product",
        "unit_count": "Quantity",
        "unit_price": "Price",
    },
}
ORDERS: Dict[str, Any] = {
    "shop": {"name": "Corner", "currency": "EUR"},
    "file": {"row": "order"},
    "time": {"zone": "Europe/Berlin"},
    "columns": {"customer_id": "Customer", "ordered_at": "Date", "net_amount": "Total"},
}


def told(base: Dict[str, Any], **parts: Dict[str, Any]) -> dict[str, Any]:
    """Return a mapping as a dictionary, with keys of its tables set; a key that is None is taken out."""
    mapping = copy.deepcopy(dict(base))
    for part, keys in parts.items():
        merged = {**mapping.get(part, {}), **keys}
        mapping[part] = {key: value for key, value in merged.items() if value is not None}
    return mapping


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def deliver(folder: Path, files: Path | list[Path] | str, mapping: Dict[str, Any]) -> Delivery:
    """Read files (or one file with this text) as a mapping says."""
    if isinstance(files, str):
        files = write(folder / "orders.csv", files)
    paths = files if isinstance(files, list) else [files]
    checked = check_mapping(mapping, origin="mapping.toml")
    return read(paths, checked, staging=folder / "staging", at=DELIVERED_AT)


def rows(delivery: Delivery, table: str, *columns: str) -> list[Any]:
    """Return a delivered table in the order of its first column: rows, or bare values where one column is asked."""
    found = delivery.tables[table].to_pyarrow().to_pylist()
    keys = {"orders": ("order_id",), "order_lines": ("order_id", "line_number")}.get(table, (f"{table[:-1]}_id",))
    found.sort(key=lambda row: [str(row[key]).zfill(12) for key in keys])
    return [row[columns[0]] if len(columns) == 1 else tuple(row[column] for column in columns) for row in found]


def store(folder: Path, delivery: Delivery, *, limit: float = 1.0) -> tuple[Ingested, dict[str, list[dict[str, Any]]]]:
    """Ingest a delivery into a lake of its own; return what was said and what is stored."""
    lake = Lake(folder / "lake")
    done = ingest(delivery, lake, at=DELIVERED_AT, limit=limit)
    with lake.connect() as connection:
        names = ("customers", "products", "orders", "order_lines", "quarantine")
        return done, {name: lake.table(connection, name).to_pyarrow().to_pylist() for name in names}
