"""Basket lists, the form in which next-basket sets are published: a JSON object, customer -> list of baskets.

A basket is a list of items, or `{"at": ..., "items": [...]}` with the time as a number of days or an ISO date. Items
are strings or whole numbers. Where there are no times, positions stand for them. Some published files put a basket
`[-1]` before the first basket and after the last one: such marks are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from facts.baskets import Baskets, baskets_of
from facts.errors import RegularsError

_MARK = [-1]
_FORM = (
    'a basket list is a JSON object {customer: [basket, ...]}, a basket a list of items or {"at": ..., "items": [...]}'
)


class UnreadableBaskets(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A file that is no basket list."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; {_FORM}")


def read_basket_lists(baskets: Path, future: Path | None = None) -> tuple[Baskets, Baskets]:
    """Read the baskets to learn from and the one of each customer to foretell, with the same numbers in both.

    Without a second file it is the last basket of every customer who has several. Of a second file it is the first
    basket of a customer; one whose past is not known is left out.

    Raises
    ------
    UnreadableBaskets
        A file is not of that form: which customer and basket, and what is the matter.
    """
    rows = _read(baskets)
    if rows["at"].isna().any() and rows["at"].notna().any():
        raise UnreadableBaskets(baskets, "some baskets have a time and some have none")
    is_timed = rows["at"].notna().all()
    rows["at"] = rows["at"].fillna(rows["basket"].astype(float))
    asked = rows.groupby("customer_id")["basket"].max()
    asked = asked[asked > 0]
    if future is not None:
        later = _after(rows, _read(future))
        asked, rows = later.groupby("customer_id")["basket"].max(), pd.concat([rows, later], ignore_index=True)
    if not is_timed:  # counted from the last one, so that all customers have one now
        rows["at"] -= rows.groupby("customer_id")["at"].transform("max")
    now = rows.groupby("customer_id")["at"].max() + 1
    made = baskets_of(rows, now={str(customer): float(at) for customer, at in now.items()})
    return made.split((made.places_from_last == 0) & np.isin(made.customer_ids, asked.index)[made.customer])


def _after(rows: pd.DataFrame, future: pd.DataFrame) -> pd.DataFrame:
    """Return the first future basket of the customers who are known, placed after their last one."""
    last = rows.groupby("customer_id")[["basket", "at"]].max()
    later = future[(future["basket"] == 0) & future["customer_id"].isin(last.index)]
    last = last.loc[later["customer_id"]].set_axis(later.index) + 1
    return later.assign(basket=last["basket"], at=later["at"].fillna(last["at"]))


def _read(path: Path) -> pd.DataFrame:
    """Return a row per item of a basket: customer_id, basket (its place), at (days, or missing), product_id."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UnreadableBaskets(path, str(error)) from error
    if not isinstance(told, Mapping):
        raise UnreadableBaskets(path, f"holds a {type(told).__name__}")
    rows = [row for customer, baskets in told.items() for row in _rows(path, customer, baskets)]
    return pd.DataFrame(rows, columns=["customer_id", "basket", "at", "product_id"])


def _rows(path: Path, customer: str, baskets: object) -> Iterator[tuple[str, int, float, str]]:
    if not isinstance(baskets, list):
        raise UnreadableBaskets(path, f"customer {customer!r}: {_short(baskets)} is no list of baskets")
    if baskets and all(_is_item(basket) for basket in baskets):
        baskets = [baskets]  # one basket, as files of the future have it
    told = [basket for basket in baskets if basket not in (_MARK, [])]
    for place, basket in enumerate(told):
        where = f"customer {customer!r}, basket {place + 1}"
        at, items = (basket.get("at"), basket.get("items")) if isinstance(basket, dict) else (None, basket)
        if not isinstance(items, list):
            raise UnreadableBaskets(path, f"{where}: {_short(items)} is no list of items")
        for item in items:
            if not _is_item(item):
                raise UnreadableBaskets(path, f"{where}: {_short(item)} is no item")
            yield customer, place, _days(path, where, at), str(item)


def _is_item(told: object) -> bool:
    return isinstance(told, str | int) and not isinstance(told, bool)


def _days(path: Path, where: str, at: object) -> float:
    if at is None:
        return np.nan
    if isinstance(at, int | float) and not isinstance(at, bool):
        return float(at)
    try:
        return (pd.to_datetime(str(at), utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    except (TypeError, ValueError) as error:
        raise UnreadableBaskets(path, f"{where}: {_short(at)} is neither a number of days nor a date") from error


def _short(told: object) -> str:
    return repr(told)[:40]
