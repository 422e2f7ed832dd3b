"""Any shop's orders: CSV, TSV, gzip, Parquet and Excel files, read as a mapping says (docs/ingest.md)."""

from __future__ import annotations

from facts.ingest.table.errors import BadFile, BadMapping
from facts.ingest.table.loading import check_mapping, load_mapping, shipped_names, shipped_text
from facts.ingest.table.mapping import Mapping
from facts.ingest.table.read import read
from facts.ingest.table.suggest import Suggestion, suggest

__all__ = [
    "BadFile",
    "BadMapping",
    "Mapping",
    "Suggestion",
    "check_mapping",
    "load_mapping",
    "read",
    "shipped_names",
    "shipped_text",
    "suggest",
]
