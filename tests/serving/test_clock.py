"""What the service takes for now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import corner_shop as shop
import pytest
from corner_shop import environment

from serving.clock import TICK, BadInstant, Clock, as_of_from_environment


def test_a_recorded_shop_stands_at_the_end_of_its_record() -> None:
    assert Clock.of(shop.SHOP).now() == shop.UNTIL + TICK


def test_a_trading_shop_goes_with_the_wall() -> None:
    before = datetime.now(UTC)
    assert before <= Clock.of(replace(shop.SHOP, clock="wall")).now() <= before + timedelta(minutes=1)


@pytest.mark.parametrize("clock", ["wall", "standing"])
def test_an_instant_stands_above_both(clock: str) -> None:
    assert Clock.of(replace(shop.SHOP, clock=clock), as_of=shop.FROM).now() == shop.FROM


def test_the_instant_is_read_from_the_environment() -> None:
    with environment(REGULARS_AS_OF="2017-10-01T00:00:00-04:00"):
        assert as_of_from_environment() == datetime(2017, 10, 1, 4, tzinfo=UTC)
    with environment(REGULARS_AS_OF=""):
        assert as_of_from_environment() is None


@pytest.mark.parametrize("text", ["yesterday", "2017-10-01", "2017-10-01T00:00:00"])
def test_what_is_not_an_aware_instant_is_refused(text: str) -> None:
    with (
        environment(REGULARS_AS_OF=text),
        pytest.raises(BadInstant, match=f"REGULARS_AS_OF is '{text}', not an instant"),
    ):
        as_of_from_environment()
