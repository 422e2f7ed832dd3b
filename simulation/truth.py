"""What is true of the simulated shop and no shop knows: it lies apart from the shop's own files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from simulation.behaviour import Behaviour, World
from simulation.campaigns import NONE
from simulation.catalogue import CATEGORIES
from simulation.clock import DAY, Floats, Ints
from simulation.columns import Column, chosen, instants
from simulation.customers import style_names
from simulation.messages import Names
from simulation.purchases import expected_orders

HORIZONS = (30, 90, 365)  # days after the record


def truth_tables(world: World, drawn: Behaviour, names: Names, *, count: int) -> Mapping[str, pa.Table]:
    """Return the truth of a chunk's first customers.

    `customers` has a row per customer: the parameters, and what was to be expected and what came in the days after the
    record, no further campaign being sent. `effects` has a row per customer and campaign for which the customer had
    joined. `sessions` has a row per session in the record. Amounts are gross, in the shop's currency, before returns.
    """
    return {
        "customers": _customers(world, drawn, names).slice(0, count),
        "effects": _effects(world, drawn, names, count),
        "sessions": _sessions(world, drawn, names, count),
    }


def _customers(world: World, drawn: Behaviour, names: Names) -> pa.Table:
    customers, settings, end = drawn.customers, world.settings, world.clocks.record.end
    first = drawn.purchases.number == 0
    last_at = _last_at(world, drawn)
    columns: dict[str, Column] = {
        "customer_id": names.customers,
        "style": pa.array(style_names(settings.styles)).take(pa.array(customers.style)),
        "timezone": pa.array([name for name, _share in settings.timezones]).take(pa.array(customers.zone)),
        "purchases_per_week": pa.array(customers.purchases_per_week),
        "dropout_probability": pa.array(customers.dropout_probability),
        "joined_at": instants(drawn.purchase_at[first]),
        "alive_until": instants(last_at, known=last_at != NONE),
        "is_alive_at_end": pa.array((last_at == NONE) | (last_at >= end)),
        "basket_log_mean": pa.array(customers.basket_log_mean),
        "basket_log_sd": pa.array(np.full(len(customers), settings.basket_within_sd)),
        "basket_mean_amount": pa.array(_basket_mean(world, drawn)),
        "return_probability": pa.array(customers.return_probability),
        "visits_per_week": pa.array(customers.visits_per_week),
        "campaign_factor": pa.array(customers.campaign_factor),
        "sale_count": pa.array(np.bincount(drawn.orders.customer[: drawn.orders.sale_count], minlength=len(customers))),
    }
    return pa.table(columns | _favourites(drawn) | _future(world, drawn))


def _last_at(world: World, drawn: Behaviour) -> Ints:
    """Return when each customer's last order is, NONE where it lies beyond the days after the record."""
    ends = np.isfinite(drawn.purchases.alive_until)
    even = np.where(ends, drawn.purchases.alive_until, 0.0)
    return np.where(ends, world.clocks.to_utc(even, drawn.customers.zone), NONE)


def _favourites(drawn: Behaviour) -> dict[str, Column]:
    customers = drawn.customers
    categories = pa.array([category.name for category in CATEGORIES])
    columns: dict[str, Column] = {}
    for place in range(customers.cycle_days.shape[1]):
        named = f"favourite_{place + 1}"
        columns[f"{named}_category"] = categories.take(pa.array(customers.preference[:, place]))
        columns[f"{named}_cycle_days"] = pa.array(customers.cycle_days[:, place])
    return columns


def _future(world: World, drawn: Behaviour) -> dict[str, Column]:
    """Return, over each horizon after the record, the expected orders and amount and those that came."""
    customers, purchases, end = drawn.customers, drawn.purchases, world.clocks.record.end
    everyone = np.arange(len(customers))
    even_end = world.clocks.even_at(end)[customers.zone]
    is_alive = purchases.alive_until >= even_end
    mean = _basket_mean(world, drawn)
    buyer = purchases.customer
    columns: dict[str, Column] = {}
    for days in (days for days in HORIZONS if days <= world.settings.future_days):
        own = drawn.pace.own_of_even(even_end + days, everyone) - drawn.pace.own_of_even(even_end, everyone)
        expected = is_alive * expected_orders(customers, own)
        came = (purchases.even >= even_end[buyer]) & (purchases.even < even_end[buyer] + days)
        amounts = np.bincount(buyer, weights=came * drawn.purchase_amount, minlength=len(customers))
        columns |= {
            f"expected_orders_{days}d": pa.array(expected),
            f"expected_amount_{days}d": pa.array(expected * mean),
            f"order_count_{days}d": pa.array(np.bincount(buyer[came], minlength=len(customers))),
            f"amount_{days}d": pa.array(amounts),
        }
    return columns


def _basket_mean(world: World, drawn: Behaviour) -> Floats:
    """Return the mean gross amount of each customer's orders."""
    return np.asarray(np.exp(drawn.customers.basket_log_mean + world.settings.basket_within_sd**2 / 2))


def _effects(world: World, drawn: Behaviour, names: Names, count: int) -> pa.Table:
    contacts, effects = drawn.contacts, drawn.effects
    customer, campaign = np.nonzero(contacts.is_eligible & (np.arange(len(drawn.customers)) < count)[:, None])
    at = (customer, campaign)
    return pa.table(
        {
            "customer_id": names.customers.take(pa.array(customer)),
            "campaign_id": names.campaigns.take(pa.array(campaign)),
            "contact_at": instants(drawn.contact_at[at]),
            "until": instants(drawn.contact_at[at] + world.settings.campaign_days * DAY),
            "propensity": pa.array(contacts.propensity[campaign]),
            "is_sent": pa.array(contacts.is_sent[at]),
            "is_alive": pa.array(effects.is_alive[at]),
            "expected_orders_if_sent": pa.array(effects.expected_if_sent[at]),
            "expected_orders_if_not": pa.array(effects.expected_if_not[at]),
            "order_count": pa.array(effects.order_count[at]),
        }
    )


def _sessions(world: World, drawn: Behaviour, names: Names, count: int) -> pa.Table:
    sessions = drawn.sessions
    row = np.flatnonzero((sessions.customer < count) & (sessions.at < world.clocks.record.end))
    row = row[np.lexsort((sessions.at[row], sessions.customer[row]))]
    return pa.table(
        {
            "customer_id": names.customers.take(pa.array(sessions.customer[row])),
            "at": instants(sessions.at[row]),  # of the order at its end, or where there is none of its start
            "order_id": chosen(names.orders, sessions.order[row]),
            "category": names.categories.take(pa.array(sessions.category[row])),
            "campaign_id": chosen(names.campaigns, sessions.link[row]),  # the link that led to it
            "has_intent": pa.array(sessions.has_intent[row]),
        }
    )
