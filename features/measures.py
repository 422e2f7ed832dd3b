"""The kinds of measure a feature can be: records without behaviour, which `features.snapshot` compiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fact = Literal["orders", "visits", "mailings", "redemptions"]
How = Literal["count", "sum", "mean", "max", "median", "std"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One figure over the facts of a window: `how` of `column` over the rows of `fact` (where `where` is true)."""

    fact: Fact
    how: How
    column: str | None = None
    where: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """How many different values of a product's column were bought in the window."""

    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysSince:
    """Days from the last (or first) fact to the cutoff, over all that is known."""

    fact: Fact
    which: Literal["first", "last"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One feature over another, times `scale`; missing where the second is missing or zero."""

    numerator: str
    denominator: str
    scale: float = 1.0


Measure = Aggregate | Distinct | DaysSince | Ratio
