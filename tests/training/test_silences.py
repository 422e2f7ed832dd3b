"""Silences of a shop: what is usual for it is none, what is missing is found, and no cutoff learns from it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import DAY, EPOCH, at, delivery, rows_of
from training.silences import LEAST_DAYS, MOST_AHEAD_SHARE, silences_of, usual_pause_days

SHOP = replace(delivery(rows_of()).shop, observed_from=EPOCH, observed_until=at(400))
CUTOFFS = [at(14 * number) for number in range(3, 29)]


def _found(days, shop=SHOP):
    return silences_of([at(day).date() for day in sorted(set(days))], shop)


@pytest.mark.parametrize("every", [1, 2, 3, 7])
@given(start=st.integers(90, 200), length=st.integers(80, 100))
def test_a_hole_of_three_months_is_found_whatever_the_shops_pace(every, start, length):
    hole = range(start, start + length)
    days = [day for day in range(0, 400, every) if day not in hole]
    (silence,) = _found(days).found
    assert silence.first_on <= at(hole[0]).date()
    assert silence.until_on >= at(hole[-1]).date()
    assert silence.days < length + 2 * every


@pytest.mark.parametrize("a_day", [0.05, 0.1, 0.3, 0.8])
def test_a_shop_whose_orders_come_at_random_is_rarely_silent(a_day):
    chance = random.Random(11)  # noqa: S311 - test data
    silent = sum(bool(_found([day for day in range(400) if chance.random() < a_day]).found) for _ in range(300))
    assert silent / 300 < 0.03


def test_closed_on_sundays_and_a_week_of_holidays_is_usual():
    assert not _found([day for day in range(400) if day % 7 != 6 and not 200 <= day < 208]).found


@pytest.mark.parametrize(
    ("days", "first", "until"), [(range(100, 400), 0, 100), (range(300), 300, 400)], ids=["before", "after"]
)
def test_the_ends_of_the_record_are_silent_too(days, first, until):
    (silence,) = _found(days).found
    assert (silence.first_on, silence.until_on) == (at(first).date(), at(until).date())


def test_a_shop_without_orders_is_silent_all_the_time():
    assert [silence.days for silence in _found([]).found] == [400]


@given(st.lists(st.integers(1, 60), min_size=2, max_size=80))
def test_what_is_usual_is_at_least_two_weeks_and_grows_with_the_pauses(steps):
    assert usual_pause_days(steps) >= LEAST_DAYS
    assert usual_pause_days([2 * step for step in steps]) >= usual_pause_days(steps)


@given(horizon=st.integers(1, 120), start=st.integers(60, 300), length=st.integers(14, 120))
def test_no_usable_cutoff_looks_into_a_silence(horizon, start, length):
    silences = _found([day for day in range(400) if not start <= day < start + length])
    usable = silences.usable(CUTOFFS, horizon_days=horizon)
    missing = [at(day) for day in range(start, min(start + length, 400))]
    for cutoff in usable:
        ahead = sum(cutoff <= day < cutoff + horizon * DAY for day in missing)
        assert ahead <= MOST_AHEAD_SHARE * horizon
    assert bool(silences.notes(CUTOFFS, horizon_days=horizon)) == (len(usable) < len(CUTOFFS))


def test_days_are_the_shops_own():
    shop = replace(SHOP, timezone="America/New_York", observed_from=at(0, 5), observed_until=at(400, 4))
    silences = _found([day for day in range(400) if not 100 <= day < 200], shop)
    (silence,) = silences.found
    begins, ends = at(100, 4), at(200, 4)  # midnight there, in summer
    assert silence.hours_in(begins - DAY, begins, silences.zone) == 0
    assert silence.hours_in(ends, ends + DAY, silences.zone) == 0
    assert silence.hours_in(begins, ends, silences.zone) == (ends - begins) / timedelta(hours=1)


def test_the_longest_record_lies_between_silences():
    days = [day for day in range(400) if not (100 <= day < 150 or 300 <= day < 340)]
    stretches = [(0, 100), (150, 300), (340, 400)]
    silences = _found(days)
    assert silences.longest_record_days(SHOP) == max(b - a for a, b in stretches)
    assert all(a.until_on < b.first_on for a, b in pairwise(silences.found))
