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
    """One delivery: the shop, a table for every contract in `facts.contracts.FACTS`, and notes."""

    shop: Shop
    tables: Mapping[str, Table]
    notes: tuple[str, ...] = ()
