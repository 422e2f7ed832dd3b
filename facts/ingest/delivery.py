"""What a source hands over, before it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facts.lake import Shop

if TYPE_CHECKING:
    from ibis.expr.types import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery: the shop, a table for every contract in `facts.contracts.FACTS`, and notes.

    `tolerated` names rules that may be broken by any number of rows: the rows are set aside, and do not count towards
    the share above which a delivery is refused. `ids_made_of` says what ids are made of where a source has none: what
    is delivered of the same takes the place of all that was known of it.
    """

    shop: Shop
    tables: Mapping[str, Table]
    notes: tuple[str, ...] = ()
    tolerated: tuple[str, ...] = ()
    ids_made_of: str | None = None
