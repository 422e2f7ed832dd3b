"""The kinds of measure a feature can be: records without behaviour, which `features.snapshot` compiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# `orders` are sales; `money` is what sales brought in and returns took back.
Fact = Literal["orders", "money", "returns", "cancellations", "visits", "first_purchases", "mailings", "redemptions"]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """Where in the year the cutoff lies, as one of two coordinates of a point on a circle."""

    which: Literal["sine", "cosine"]

    @property
    def column(self) -> str:
        """The column of the cutoffs that holds it."""
        return f"season_{self.which}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRecord:
    """How far back the shop's record reaches at the cutoff, in days, at most a year: what a window can hold."""

    @property
    def column(self) -> str:
        """The column of the cutoffs that holds it."""
        return "record_days"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyTillYouDie:
    """What BG/NBD, fitted on the shop at the cutoff, says of the customer (`features.lifetime`)."""

    which: Literal["alive_probability", "expected_order_count"]
    horizon_days: int = 0


OfCutoff = Season | OnRecord  # the same for every customer of a cutoff
Measure = Aggregate | Distinct | DaysSince | Ratio | OfCutoff | BuyTillYouDie
