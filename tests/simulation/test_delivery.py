"""What the shop knows of orders whose messages come late, at rates that make it happen often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulation.behaviour import Behaviour, World, draw_behaviour
from simulation.events import Kind
from simulation.orders import CANCELLED, RETURN, SALE
from simulation.settings import SETTINGS

LATE = replace(SETTINGS, late_days_rate=0.5, late_hours_rate=0.3, cancel_rate=0.3, return_b=2.0)


@pytest.fixture(scope="module")
def late() -> tuple[World, Behaviour]:
    world = World.of(seed=4, days=60, settings=LATE)
    return world, draw_behaviour(world, 0)


def test_a_return_is_received_after_its_sale_or_not_at_all(late: tuple[World, Behaviour]):
    _world, drawn = late
    returns = np.flatnonzero(drawn.orders.kind == RETURN)
    sales = drawn.orders.sale[returns]
    assert (drawn.known.received_at[returns] > drawn.known.received_at[sales]).all()
    is_prompt = drawn.known.received_at[sales] > drawn.orders.at[returns]
    assert is_prompt.sum() > 20  # it had to be held back
    assert not (drawn.known.is_known[returns] & ~drawn.known.is_known[sales]).any()


def test_a_cancelled_order_is_a_sale_to_a_shop_that_has_not_heard_of_it(late: tuple[World, Behaviour]):
    world, drawn = late
    orders, known, events = drawn.orders, drawn.known, drawn.events
    cancelled = np.flatnonzero((orders.kind == CANCELLED) & known.is_known)
    heard = events.order[(events.kind == Kind.CANCELLED) & (drawn.received.at < world.clocks.record.end)]
    has_heard = np.isin(cancelled, heard)
    assert (known.kind[cancelled] == np.where(has_heard, CANCELLED, SALE)).all()
    assert 0 < has_heard.mean() < 1
    assert (known.received_at[cancelled] >= orders.at[cancelled]).all()


def test_a_cancellation_is_known_when_both_its_messages_are(late: tuple[World, Behaviour]):
    _world, drawn = late
    told = {}
    for kind in (Kind.COMPLETED, Kind.CANCELLED):
        rows = np.flatnonzero(drawn.events.kind == kind)
        told[kind] = dict(zip(drawn.events.order[rows], drawn.received.at[rows], strict=True))
    cancelled = np.flatnonzero(drawn.known.is_known & (drawn.known.kind == CANCELLED))
    both = [max(told[Kind.COMPLETED][order], told[Kind.CANCELLED][order]) for order in cancelled]
    assert len(both) > 50
    assert drawn.known.received_at[cancelled].tolist() == both


def test_what_is_received_after_the_record_is_not_known(late: tuple[World, Behaviour]):
    world, drawn = late
    end = world.clocks.record.end
    assert (drawn.orders.at < end).all()
    assert (drawn.known.received_at[drawn.known.is_known] < end).all()
    assert (~drawn.known.is_known).sum() > 20
