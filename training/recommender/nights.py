"""The nights of a shop that a recommender learns from, and the one it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facts.baskets import Baskets, days_since_1970, read_baskets
from facts.errors import GateFailed
from facts.lake import Lake, Shop
from features.lake_events import read_events
from features.live_events import REACH
from features.recommending.asking import ASKING_EVENTS, ask
from features.recommending.candidates import Asked
from features.recommending.night import read_known
from training.recommender.questions import Night

Numbers = NDArray[np.int64]
LEARNED_FROM = 4  # nights
LONGEST_WAIT = timedelta(days=28)  # within which a customer's next basket counts
SHORTEST_WAIT = timedelta(days=7)
BEFORE_BASKET = timedelta(hours=1)  # a question is asked so long before the basket that answers it
LEAST_QUESTIONS = 100  # of the test night, and of all nights that are learned from
_LEAST_PAST = 2.0  # waits of record before the first night


@dataclass(frozen=True, slots=True, kw_only=True)
class NightPlan:
    """Cutoffs of nights, oldest first, the last one is tested on; of each the baskets within `wait` are foretold."""

    cutoffs: tuple[datetime, ...]
    wait: timedelta

    @property
    def test(self) -> datetime:
        """Return the cutoff of the night that is tested on."""
        return self.cutoffs[-1]


def plan_nights(shop: Shop) -> NightPlan:
    """Choose nights that do not see each other's answers.

    Raises
    ------
    GateFailed
        The record is too short for two of them.
    """
    record = shop.observed_until - shop.observed_from
    wait = min(LONGEST_WAIT, record / (_LEAST_PAST + 2))
    if wait < SHORTEST_WAIT:
        least = (SHORTEST_WAIT * (_LEAST_PAST + 2)).days
        gate = "days of record for a recommender to learn from and be tested on"
        raise GateFailed(gate, needed=str(least), found=str(record.days))
    count = min(LEARNED_FROM, int(record / wait - _LEAST_PAST) - 1)
    cutoffs = tuple(shop.observed_until - wait * (place + 1) for place in range(count, -1, -1))
    return NightPlan(cutoffs=cutoffs, wait=wait)


def read_night_questions(lake: Lake, cutoff: datetime, wait: timedelta) -> Night:
    """Build what was known at a night, and ask for the first basket within the wait of everyone who was known then.

    Each is asked about an hour before that basket, or at the night where that was earlier, with the events known then.
    """
    night, past = read_known(lake, cutoff)
    whole = read_baskets(lake, cutoff + wait)
    start = days_since_1970(pd.Timestamp(cutoff))
    histories = night.histories.customer_ids
    held = [histories.find(name) is not None for name in whole.customer_ids]
    later = np.flatnonzero((whole.at >= start) & np.array(held, dtype=bool)[whole.customer])
    first = later[np.unique(whole.customer[later], return_index=True)[1]]
    future = _future(whole, first, night.catalog.product_ids)
    instants = [max(cutoff, _instant(day) - BEFORE_BASKET) for day in future.at.tolist()]
    span = {"since": cutoff - REACH, "until": max(instants, default=cutoff)}
    events = read_events(lake, future.customer_ids.tolist(), names=ASKING_EVENTS, **span)

    def asked(places: Numbers) -> Asked:
        some = places.tolist()
        return ask(night, [future.customer_ids[n] for n in some], events, at=[instants[n] for n in some])

    return Night(shelf=night.shelf, past=past, count=len(instants), future=future, ask=asked)


def _instant(days: float) -> datetime:
    return datetime.fromtimestamp(round(days * 86_400), UTC)


def _future(whole: Baskets, first: NDArray[np.int64], product_ids: Sequence[bytes]) -> Baskets:
    """Return some baskets of different customers with the night's numbers of products.

    Products that the night did not know have numbers after its own: they are wanted and nobody can offer them.
    """
    known = {name.decode(): number for number, name in enumerate(product_ids)}
    rows = np.flatnonzero(np.isin(whole.basket, first))
    number = [known.setdefault(whole.product_ids[product], len(known)) for product in whole.product[rows].tolist()]
    return Baskets(
        customer_ids=whole.customer_ids[whole.customer[first]],
        product_ids=np.array(list(known), dtype=object),
        customer=np.arange(len(first), dtype=np.int32),
        at=whole.at[first],  # noqa: PD008 - an array
        now=whole.now[whole.customer[first]],
        basket=np.searchsorted(first, whole.basket[rows]).astype(np.int32),
        product=np.array(number, dtype=np.int32),
    )
