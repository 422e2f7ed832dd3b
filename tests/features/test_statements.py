"""Every input belongs to one statement, and every statement can be said of any customer."""

from __future__ import annotations

from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalog import NAMES
from features.inputs import REPLACED
from features.live import LIVE_NAMES
from features.statements import STATEMENTS, grouped, known_values, stem_of
from features.units import said

INPUTS = (*(name for name in NAMES if name not in REPLACED), *LIVE_NAMES)
BY_NAME = {statement.name: statement for statement in STATEMENTS}


def test_every_input_belongs_to_exactly_one_statement():
    assert len(BY_NAME) == len(STATEMENTS)
    for name in INPUTS:
        assert len([s for s in STATEMENTS if stem_of(name) in s.stems]) == 1, name
    stems = [stem for statement in STATEMENTS for stem in statement.stems]
    assert set(stems) == {stem_of(name) for name in INPUTS}
    places = [place for _, of_one in grouped(INPUTS) for place in of_one]
    assert sorted(places) == list(range(len(INPUTS)))


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
class TestEveryStatement:
    def test_it_speaks_of_inputs_of_its_own(self, statement):
        for clause in statement.clauses:
            spoken = [feature for _, feature, _, _ in Formatter().parse(clause) if feature is not None]
            assert spoken
            assert all(feature in INPUTS and stem_of(feature) in statement.stems for feature in spoken)

    def test_it_can_be_said_of_whom_nothing_is_known(self, statement):
        assert statement.of({}, currency="EUR") == statement.otherwise

    def test_it_can_be_said_of_any_values(self, statement):
        names = [name for name in INPUTS if stem_of(name) in statement.stems]
        for value in (0.0, 1.0, 0.5, 3.4, 120.0, 1e7):
            told = statement.of(dict.fromkeys(names, value), currency="JPY")
            assert told
            assert not {"{", "}", "nan"} & {told, *told}
            assert ("JPY" in told) == any(":amount" in clause for clause in statement.clauses)


@given(st.dictionaries(st.sampled_from(INPUTS), st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))))
def test_what_is_missing_is_left_out(values):
    known = known_values(list(values), list(values.values()))
    for statement in STATEMENTS:
        told = statement.of(known, currency="EUR")
        assert told
        assert "nan" not in told
        assert "-0 " not in told


def test_sentences_as_a_person_reads_them():
    values = {
        "visit_gap_mean_365d": 12.4, "order_recency_live_days": 31.2, "order_count_90d": 12.0, "order_count_30d": 4.0,
        "spend_amount_90d": 310.4, "spend_amount_30d": 8.5, "discounted_order_rate_365d": 0.444,
        "discount_rate_365d": 0.1,
        "product_count_90d": 1.0, "category_count_90d": 1.0, "local_weekday_live": 4.0, "local_hour_live": 14.5,
    }  # fmt: skip
    told = {name: BY_NAME[name].of(values, currency="USD") for name in BY_NAME}
    assert told["rhythm"] == "orders every 12 days, last order 31 days ago"
    assert told["orders"] == "12 orders in 90 days, 4 in the last 30"
    assert told["spend"] == "spends 310 USD in 90 days, 8.50 USD in the last 30"
    assert told["discounts"] == "44 % of orders at a discount, discounts are 10 % of spend"
    assert told["breadth"] == "1 different product in 90 days, of 1 category"
    assert told["moment"] == "asked on a Friday, at 14:30"
    assert BY_NAME["rhythm"].of({"order_recency_live_days": 0.5}, currency="USD") == "last order 12 hours ago"
    assert BY_NAME["breadth"].of({"category_count_90d": 2.0}, currency="USD") == "of 2 categories"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1.4, "days", "1 day"),
        (1.6, "days", "2 days"),
        (0.999, "days", "23 hours"),
        (1 / 24, "days", "1 hour"),
        (0.0, "days", "less than an hour"),
        (0.0, "count order", "0 orders"),
        (1.0, "count order", "1 order"),
        (1234.0, "count order", "1,234 orders"),
        (-0.001, "amount", "0 USD"),
        (1234.5, "amount", "1,234 USD"),
        (9.999, "amount", "10 USD"),
        (23.9999, "clock", "00:00"),
        (1.234, "percent", "123 %"),
        (1.0, "flag", "yes"),
    ],
)
def test_values_in_words(value, unit, expected):
    assert said(value, unit, currency="USD") == expected
