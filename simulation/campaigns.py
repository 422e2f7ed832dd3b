"""Marketing contacts, sent at random with a known probability, and what they do to the pace of buying.

A campaign multiplies a customer's purchase rate by `campaign_factor` for `campaign_days` days from the contact on. The
pace turns even time into *own time*, in which the customer buys at a constant rate whatever was sent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation.clock import Bools, Floats, Ints, even_of_wall
from simulation.customers import Customers
from simulation.settings import Settings

SENDING_HOUR = 9
SENDING_HOURS = 0.5
NONE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """Every customer x campaign: when it is or would be sent, whether the customer is there, and whether it is sent."""

    at: Floats  # even time
    propensity: Floats  # by campaign
    is_eligible: Bools  # has joined before
    is_sent: Bools
    days: float

    @property
    def campaign_count(self) -> int:
        """How many campaigns the record has."""
        return int(self.at.shape[1])

    def acting_on(self, even: Floats, customer: Ints) -> Ints:
        """Return the campaign that acts on a customer at a moment, NONE where none does."""
        since = even[:, None] - self.at[customer]
        acts = self.is_sent[customer] & (since >= 0) & (since < self.days)
        found = np.where(acts.any(axis=1), acts.argmax(axis=1), NONE) if acts.shape[1] else np.full(len(even), NONE)
        return np.asarray(found, dtype=np.int64)


def draw_contacts(rng: np.random.Generator, customers: Customers, days: int, settings: Settings) -> Contacts:
    """Draw who gets which campaign: on its morning, by a coin that knows nothing of the customer."""
    day = np.arange(settings.campaign_first_day, days - 1, settings.campaign_every_days, dtype=np.float64)
    shape = (len(customers), len(day))
    at = even_of_wall(day + (SENDING_HOUR + SENDING_HOURS * rng.random(shape)) / 24)
    propensity = np.resize(np.array(settings.campaign_propensities), len(day))
    is_eligible = at > customers.joined[:, None]
    is_sent = is_eligible & (rng.random(shape) < propensity)
    return Contacts(
        at=at, propensity=propensity, is_eligible=is_eligible, is_sent=is_sent, days=float(settings.campaign_days)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A customer's own time as a function of even time: it starts at the first order, and runs faster or slower."""

    joined: Floats
    factor: Floats
    start: Floats  # customer x campaign: its contact, or the first order where that is later
    length: Floats  # days for which it acts, 0 where it is not sent
    reached: Floats  # own time at `start`

    @classmethod
    def of(cls, customers: Customers, contacts: Contacts) -> Pace:
        """Return the pace of every customer under the campaigns sent."""
        start = np.where(contacts.is_eligible, contacts.at, customers.joined[:, None])
        length = np.where(contacts.is_sent, contacts.days, 0.0)
        gained = (customers.campaign_factor - 1)[:, None] * length
        before = np.cumsum(gained, axis=1) - gained
        return cls(
            joined=customers.joined,
            factor=customers.campaign_factor,
            start=start,
            length=length,
            reached=start - customers.joined[:, None] + before,
        )

    def own_of_even(self, even: Floats, customer: Ints) -> Floats:
        """Return own time at moments of customers, in days; 0 at the first order."""
        within = np.clip(even[:, None] - self.start[customer], 0.0, self.length[customer]).sum(axis=1)
        gained = (self.factor[customer] - 1) * within
        return np.asarray(even - self.joined[customer] + gained, dtype=np.float64)

    def even_of_own(self, own: Floats, customer: Ints) -> Floats:
        """Return the moments of customers at which their own time is this."""
        if not self.start.shape[1]:
            return np.asarray(self.joined[customer] + own, dtype=np.float64)
        last = (self.reached[customer] <= own[:, None]).sum(axis=1) - 1
        at = (customer, np.maximum(last, 0))
        rest, length, factor = own - self.reached[at], self.length[at], self.factor[customer]
        after = np.where(rest < factor * length, rest / factor, rest - (factor - 1) * length)
        return np.asarray(np.where(last < 0, self.joined[customer] + own, self.start[at] + after), dtype=np.float64)
