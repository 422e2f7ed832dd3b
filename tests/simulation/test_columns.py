"""Columns made by hand from bytes and text."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from simulation.clock import microseconds
from simulation.columns import amounts, chosen, instant_text, instants, money

cents = st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=5)


@given(cents)
def test_money_is_cents_as_a_decimal_with_four_places(values: list[int]):
    column = money(np.array(values))
    column.validate(full=True)
    assert column.to_pylist() == [Decimal(value).scaleb(-2) for value in values]


@given(cents)
def test_amounts_are_written_with_two_decimals(values: list[int]):
    positive = np.abs(np.array(values))
    assert amounts(positive).to_pylist() == [f"{value / 100:.2f}" for value in positive]


@given(st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - made UTC below
def test_instants_are_written_to_the_millisecond(naive: datetime):
    at = naive.replace(tzinfo=UTC, microsecond=naive.microsecond // 1000 * 1000)
    us = np.array([microseconds(at)])
    assert instants(us).to_pylist() == [at]
    text = instant_text(us).to_pylist()[0]
    assert datetime.fromisoformat(text) == at
    assert text.endswith("Z")
    assert len(text) == len("2024-05-01T09:30:00.000Z")


def test_what_is_not_known_is_missing():
    assert instants(np.array([0, 5]), known=np.array([True, False])).to_pylist()[1] is None
    assert chosen(pa.array(["a", "b"]), np.array([1, -1, 0])).to_pylist() == ["b", None, "a"]
