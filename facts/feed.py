"""The shop's product feed: which products may be offered now. It is replaced as often as the stock changes.

References
----------
Google Merchant Center, product data specification: `id` and `availability`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from facts.errors import DamagedFile, RegularsError
from facts.home import Home

ENDINGS = (".csv", ".tsv", ".parquet")
IDS = ("id", "product_id")
OFFERED = frozenset({"in_stock", "preorder", "backorder"})
KNOWN = (*sorted(OFFERED), "out_of_stock")
ADVICE = "run `regulars recommender feed` again"


class UnreadableFeed(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A product feed that cannot be taken: the file, the line where it is one line's fault, and what to change."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; the feed that was there stays")


def take_feed(home: Home, path: Path) -> tuple[int, int]:
    """Put a feed in the place of the one before; return how many products it has and how many of them are offered.

    Raises
    ------
    UnreadableFeed
        It is no table, lacks a column, or has a row that cannot be read.
    """
    rows = _read(path)
    ids = next((name for name in IDS if name in rows.columns), None)
    if ids is None or "availability" not in rows.columns:
        raise UnreadableFeed(path, f"the columns id and availability are needed, found {', '.join(rows.columns)[:200]}")
    told = pd.DataFrame({"product_id": rows[ids].fillna("").astype(str)})
    told["availability"] = rows["availability"].fillna("").astype(str).str.strip().str.lower().str.replace(" ", "_")
    for wrong, said in (
        (told["product_id"].str.strip() == "", "it has no id"),
        (told["product_id"].duplicated(), "its id stands in an earlier line, too"),
        (~told["availability"].isin(KNOWN), f"its availability is none of {', '.join(KNOWN)}"),
    ):
        if wrong.any():
            line = int(np.flatnonzero(wrong)[0])
            raise UnreadableFeed(path, f"line {line + 2}, product {told['product_id'].iloc[line][:60]!r}: {said}")
    told["is_offered"] = told["availability"].isin(OFFERED)
    partial = home.feed.with_name(f".{home.feed.name}.{os.getpid()}.partial")
    home.folder.mkdir(parents=True, exist_ok=True)
    told[["product_id", "is_offered"]].to_parquet(partial, index=False)
    partial.replace(home.feed)
    return len(told), int(told["is_offered"].sum())


def feed_stamp(home: Home) -> object:
    """Return something that is another one as soon as another feed was taken; None where there is none."""
    try:
        told = home.feed.stat()
    except FileNotFoundError:
        return None
    return told.st_mtime_ns, told.st_ino


def offered_ids(home: Home) -> frozenset[bytes] | None:
    """Return the ids, as UTF-8, of the products that the last feed offers; None where there is no feed.

    A product that is not in it has left the catalogue.

    Raises
    ------
    DamagedFile
        The feed is not as it was written.
    """
    if feed_stamp(home) is None:
        return None
    try:
        told = pd.read_parquet(home.feed)
        return frozenset(name.encode() for name in told["product_id"][told["is_offered"]])
    except (OSError, ValueError, KeyError, AttributeError, pa.ArrowException) as error:
        raise DamagedFile(home.feed, str(error).splitlines()[0], advice=ADVICE) from error


def _read(path: Path) -> pd.DataFrame:
    if path.suffix not in ENDINGS:
        raise UnreadableFeed(path, f"its name ends in {path.suffix!r}; known: {', '.join(ENDINGS)}")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0][:200]
        raise UnreadableFeed(path, reason) from error
