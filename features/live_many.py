"""What is known of many quiet customers at one instant: columns in the place of `features.live_known`'s figures.

A customer is quiet when the events of the last REACH tell no more than when something last happened: no browsing, and
no order that the snapshot does not hold. That is most of a shop, most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from facts.event_log.records import to_microseconds
from features.live_known import DAY, LaterSnapshot

Figures: TypeAlias = NDArray[np.float64]
_MICROSECONDS_PER_DAY = 86_400_000_000.0


class Many:
    """Quiet customers of one snapshot at one instant.

    Parameters
    ----------
    columns
        The snapshot's figures by name, (customers,) float64, missing as NaN.
    cutoff
        The snapshot's; it may be any for customers of whom the columns hold nothing.
    last_at
        By the name of an event, when it last occurred: microseconds since 1970, NaN for who has none.

    Raises
    ------
    LaterSnapshot
        The cutoff is after the instant.
    """

    def __init__(
        self, columns: Mapping[str, Figures], last_at: Mapping[str, Figures], *, cutoff: datetime, at: datetime
    ) -> None:
        if cutoff > at:
            raise LaterSnapshot(cutoff, at)
        self._columns, self._last_at, self.at = columns, last_at, at
        self._age_days = (at - cutoff) / DAY

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def snapshot(self, column: str) -> Figures:
        """Return a column of the snapshot."""
        return self._columns[column]

    @property
    def order_recency_days(self) -> Figures:
        """Days since the last order, which the snapshot holds."""
        return self._days_held("order_recency_days")

    @property
    def customer_tenure_days(self) -> Figures:
        """Days since the first order."""
        return self._days_held("customer_tenure_days")

    @property
    def return_recency_days(self) -> Figures:
        """Days since the last return, which the snapshot holds."""
        return self._days_held("return_recency_days")

    def days_since_event(self, event: str, *, column: str) -> Figures:
        """Return the days since the last event of a name, known or held by a column of the snapshot."""
        held, last_at = self._days_held(column), self._last_at.get(event)
        if last_at is None:
            return held
        # Whole microseconds and their differences are exact in float64, so this rounds as one timedelta over another.
        return np.fmin(held, (to_microseconds(self.at) - last_at) / _MICROSECONDS_PER_DAY)

    def _days_held(self, column: str) -> Figures:
        return self._columns[column] + self._age_days
