"""Sessions: runs of browsing without a pause of half an hour."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

PAUSE = timedelta(minutes=30)


class Sessions:
    """The sessions of one customer; a pause of 30 minutes or more ends a session.

    `times` are those of the browsing events, in order.
    """

    def __init__(self, times: Iterable[datetime]) -> None:
        self.times = list(times)
        self._later_starts = [later for earlier, later in pairwise(self.times) if later - earlier >= PAUSE]

    def count(self, *, since: datetime) -> int:
        """Count the sessions with an event at or after an instant; one that began earlier counts when it went on."""
        first = bisect_left(self.times, since)
        if first == len(self.times):
            return 0
        return 1 + len(self._later_starts) - bisect_right(self._later_starts, self.times[first])
