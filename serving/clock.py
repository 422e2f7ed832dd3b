"""What the service takes for now."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from facts.errors import RegularsError

if TYPE_CHECKING:
    from facts.lake import Shop

AS_OF = "REGULARS_AS_OF"
TICK = timedelta(microseconds=1)


class BadInstant(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A text that is not an aware instant."""

    def __init__(self, text: str, *, where: str) -> None:
        super().__init__(f"{where} is {text!r}, not an instant with a time zone such as 2017-10-01T00:00:00-04:00")


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that stands at one instant, or goes with the wall where there is none."""

    stands_at: datetime | None = None

    @classmethod
    def of(cls, shop: Shop, *, as_of: datetime | None = None) -> Clock:
        """Return the clock of a shop: as of an instant if one is given.

        A recorded shop's now is one tick after the end of its record: what is sent to it is received at the end, is
        known then, and is in no snapshot yet.
        """
        return cls(as_of or (shop.observed_until + TICK if shop.clock == "standing" else None))

    def now(self) -> datetime:
        """Return what now is, as an aware instant: what had been received before it is known."""
        return self.stands_at or datetime.now(UTC)


def as_of_from_environment() -> datetime | None:
    """Return the instant that `REGULARS_AS_OF` names, None where it names none; raise BadInstant where it cannot."""
    text = os.environ.get(AS_OF)
    return read_instant(text, where=AS_OF) if text else None


def read_instant(text: str, *, where: str) -> datetime:
    """Read an aware instant in ISO 8601; raise BadInstant, which says where it stands, if it is none."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise BadInstant(text, where=where) from None
    if instant.tzinfo is None:
        raise BadInstant(text, where=where)
    return instant.astimezone(UTC)
