"""The catalog: every record is well formed, a shop has what its facts allow, and Feast registers the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import get_args

import pytest

from facts.carries import MARKS, SECOND_YEAR, carries
from facts.errors import UnknownName
from facts.home import PROJECT, Home
from facts.ingest import ingest
from facts.lake import Lake
from features.build import build_snapshots
from features.catalog import (
    BY_NAME,
    FEATURES,
    NAMES,
    OWNER,
    THEMES,
    Unit,
    feature,
    feature_hash,
    names_of,
    of_shop,
    of_theme,
)
from features.measures import Aggregate, BuyTillYouDie, DaysSince, Distinct, OfCutoff, Ratio, Season
from features.snapshot import snapshot
from tests.builders import CAMPAIGN, REDEMPTION, Event, Line, Order, at, delivery, known_tables, rows_of, shop

# The last word before the window says what was measured; the unit must be one in which that can be told.
UNITS_OF = {
    "count": {"count"},
    "amount": {"amount"},
    "rate": {"rate"},
    "ratio": {"ratio", "rate"},
    "trend": {"ratio"},
    "irregularity": {"ratio"},
    "days": {"days"},
    "mean": {"days", "amount", "count", "hour"},
    "median": {"days", "amount"},
    "max": {"days", "amount", "count"},
    "std": {"days"},
    "ago": {"count", "amount"},
    "sine": {"ratio"},
    "cosine": {"ratio"},
    "probability": {"rate"},
}
ALL_THERE_IS = {*MARKS, SECOND_YEAR}


def operands(record):
    """Return the features that must be computed with a feature, itself included."""
    ratio = record.measure
    return [BY_NAME[ratio.numerator], BY_NAME[ratio.denominator], record] if isinstance(ratio, Ratio) else [record]


@pytest.mark.parametrize("record", FEATURES, ids=NAMES)
class TestEveryFeature:
    def test_has_a_known_unit_theme_and_owner(self, record):
        assert record.unit in get_args(Unit)
        assert record.theme in THEMES
        assert record.owner == OWNER

    def test_is_named_noun_measure_window(self, record):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+(_\d+d)?", record.name)
        measure = re.sub(r"_\d+d$", "", record.name).rsplit("_", 1)[-1]
        assert record.unit in UNITS_OF[measure]

    def test_ends_in_its_window(self, record):
        if record.window_days is not None:
            assert record.name.endswith(f"_{record.window_days}d")
            assert 7 <= record.window_days <= 365
        elif isinstance(record.measure, BuyTillYouDie):
            assert record.name.endswith(f"_{record.measure.horizon_days}d") == (record.measure.horizon_days > 0)
        else:
            is_ever = isinstance(record.measure, Aggregate) and not re.search(r"_\d+d$", record.name)
            assert is_ever or isinstance(record.measure, DaysSince | Ratio | OfCutoff)

    def test_looks_at_a_window_that_is_over(self, record):
        if record.ago_days is not None:
            assert record.ago_days > record.window_days
            assert record.ago_days % 7 == 0  # the same weekdays as now

    def test_is_described(self, record):
        assert len(record.description) > 10
        assert record.description[0].isupper()
        assert not record.description.endswith(".")
        if record.window_days is not None:
            assert str(record.window_days) in record.description

    def test_stands_on_features_that_exist(self, record):
        if isinstance(record.measure, Ratio):
            numerator, denominator, _ratio = operands(record)
            assert not any(isinstance(operand.measure, Ratio) for operand in (numerator, denominator))
            assert record.measure.scale > 0
            assert {*numerator.needs, *denominator.needs} == set(record.needs)

    def test_needs_what_a_shop_can_have(self, record):
        assert set(record.needs) <= ALL_THERE_IS

    def test_can_be_looked_up(self, record):
        assert feature(record.name) is record


def test_there_are_at_least_a_hundred_with_names_of_their_own():
    assert len(FEATURES) >= 100
    assert [name for name, times in Counter(NAMES).items() if times > 1] == []


def test_descriptions_tell_features_apart():
    assert [text for text, times in Counter(f.description for f in FEATURES).items() if times > 1] == []


def test_no_two_measure_the_same():
    asked = Counter((repr(f.measure), f.window_days, f.ago_days) for f in FEATURES)
    assert [measure for measure, times in asked.items() if times > 1] == []


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(
        UnknownName, match=r"no feature named 'oders_7d'; did you mean '\w+_7d'\?.*regulars features list"
    ):
        feature("oders_7d")
    with pytest.raises(
        UnknownName,
        match=rf"did you mean 'order_count_7d'\? known: .* and {len(FEATURES) - 12} more; .*shows all {len(FEATURES)}",
    ):
        feature("order_cont_7d")


def test_themes_divide_the_catalog_in_its_order():
    assert tuple(f.name for theme in THEMES for f in of_theme(theme)) == NAMES
    assert [theme for theme in THEMES if not of_theme(theme)] == []


class TestHash:
    def test_it_tells_another_order_and_another_list_from_this_one(self):
        assert len({feature_hash(NAMES), feature_hash(NAMES[::-1]), feature_hash(NAMES[1:])}) == 3

    def test_it_knows_names_that_are_no_features(self):
        assert feature_hash((*NAMES, "session_count_1d")) != feature_hash(NAMES)


SOLD = (
    Line(product="milk", net="4.00", discount="1.00", coupon="0.50", units=2),
    Line(product="soap", net="9.00"),
)
FULL = rows_of(
    [
        Order(customer="ann", at=at(20, 19), lines=SOLD),
        Order(customer="ann", at=at(390, 9), lines=SOLD),
        Order(customer="ann", at=at(392), kind="return", lines=(SOLD[1].sent_back,)),
        Order(customer="bob", at=at(391), lines=(Line(),)),
        Order(customer="bob", at=at(393), kind="cancelled"),
    ],
    [Event(at=at(380), event=CAMPAIGN), Event(at=at(385), event=REDEMPTION), Event(at=at(390), event="Page")],
)
CUTOFF = at(395)


def stripped(table, **columns):
    return {table: [row | columns for row in FULL[table]]}


def kept(table, column, *values):
    return {table: [row for row in FULL[table] if row[column] not in values]}


def other_lines(*, first_only=False, **columns):
    rows = [row | columns for row in FULL["order_lines"] if not first_only or row["line_number"] == 1]
    return {"order_lines": [row | {"net_amount": row["gross_amount"] - row["discount_amount"]} for row in rows]}


# Of every thing that a shop can have: the same shop without it.
WITHOUT = {
    "products": stripped("order_lines", product_id=None),
    "categories": stripped("products", category=None),
    "departments": stripped("products", department=None),
    "brands": stripped("products", brand=None),
    "private_label": stripped("products", is_private_label=None),
    "units": stripped("order_lines", unit_count=None),
    "lines": other_lines(first_only=True),
    "discounts": other_lines(discount_amount=0),
    "coupons": stripped("order_lines", coupon_amount=0),
    "returns": kept("orders", "kind", "return"),
    "cancellations": kept("orders", "kind", "cancelled"),
    "hours": stripped("orders", local_hour=None),
    "campaigns": kept("events", "event", CAMPAIGN),
    "redemptions": kept("events", "event", REDEMPTION),
    "browsing": kept("events", "event", "Page"),
}
NO_EVENTS = {"events": []}


class TestOfAShop:
    def test_a_shop_that_has_all_has_the_whole_catalog(self):
        has = carries(known_tables(FULL), observed_days=400)
        assert set(has) == ALL_THERE_IS
        assert of_shop(has) == FEATURES

    @pytest.mark.parametrize("mark", MARKS)
    def test_without_a_thing_it_has_none_of_the_features_that_need_it(self, mark):
        tables = known_tables(FULL | WITHOUT[mark])
        has = carries(tables, observed_days=400)
        assert set(has) == ALL_THERE_IS - {mark}
        assert of_shop(has) == tuple(f for f in FEATURES if mark not in f.needs)

    @pytest.mark.parametrize("marks", [["products"], ["discounts"], ["hours", "units"], ["events"]])
    def test_without_a_thing_its_snapshot_is_computed_all_the_same(self, marks):
        tables = known_tables(reduce(or_, (WITHOUT.get(mark, NO_EVENTS) for mark in marks), FULL))
        features = of_shop(carries(tables, observed_days=400))
        assert 0 < len(features) < len(FEATURES)
        columns = snapshot(tables, [CUTOFF], features).to_pyarrow().column_names
        assert columns[2:] == [f.name for f in features if not isinstance(f.measure, BuyTillYouDie)]

    @pytest.mark.parametrize("mark", [*sorted(ALL_THERE_IS - {"browsing"})])
    def test_every_thing_is_needed_by_some_feature(self, mark):
        assert any(mark in f.needs for f in FEATURES)

    def test_within_a_year_there_is_no_year_ago_and_no_season(self):
        has = carries(known_tables(FULL), observed_days=391)
        gone = {f for f in FEATURES if f.ago_days is not None or isinstance(f.measure, Season)}
        assert set(FEATURES) - set(of_shop(has)) == gone
        assert len(gone) == 4

    def test_a_shop_that_has_nothing_still_has_a_rhythm_orders_and_spend(self):
        tables = shop([Order(at=at(390), is_timed=False, lines=(Line(product=None, units=None),))], products=())
        has = carries(tables, observed_days=100)
        assert has == ()
        assert {f.theme for f in of_shop(has)} == {"rhythm", "orders", "spend", "calendar", "lifetime"}
        rows = snapshot(tables, [CUTOFF], of_shop(has)).execute()
        assert rows["spend_amount_30d"].tolist() == [1]

    def test_what_a_ratio_stands_on_is_there_wherever_it_is(self):
        for record in FEATURES:
            assert set(operands(record)) <= set(of_shop(record.needs))

    def test_breadth_of_products_needs_products(self):
        for record in FEATURES:
            if isinstance(record.measure, Distinct):
                assert "products" in record.needs


@pytest.mark.parametrize("theme", [theme for theme in THEMES if theme != "lifetime"])
def test_a_theme_compiles_alone(theme):
    asked = list(dict.fromkeys(operand for record in of_theme(theme) for operand in operands(record)))
    rows = snapshot(known_tables(FULL), [CUTOFF], asked).to_pyarrow()
    assert rows.column_names == ["customer_id", "cutoff", *names_of(asked)]
    assert rows["customer_id"].to_pylist() == ["ann", "bob"]


# What Feast finds in `features/` for the home of the environment, and what is registered for its shop, as JSON.
FEAST = """
import json
from facts.home import Home
from facts.lake import Lake
from features import feature_services, feature_views
from features.catalog import THEMES
from features.store import apply_definitions

def told(view):
    fields = [[f.name, f.tags["unit"], f.description] for f in view.features] if view.name != "customer_vector" else []
    return {"fields": fields, "description": view.description, "days": view.ttl.days, "tags": view.tags}

def services(found):
    return {s.name: [f.name for view in s.feature_view_projections for f in view.features] for s in found}

views = [getattr(feature_views, f"customer_{name}") for name in (*THEMES, "vector")]
found = {
    "views": {view.name: told(view) for view in views if view is not None},
    "services": services(getattr(feature_services, f"regulars_{n}") for n in ("repurchase", "churn", "clv", "online")),
}
home = Home.from_environment()
if not Lake(home.lake).is_empty:
    store = apply_definitions(home)
    found["registered"] = {
        "views": {view.name: told(view) for view in store.list_feature_views()},
        "services": services(store.list_feature_services()),
    }
print(json.dumps(found))
"""


def feast_of(folder):
    """Ask in a process of its own, since what Feast finds is read when the modules are imported."""
    environment = os.environ | {"REGULARS_HOME": str(folder)}
    ran = subprocess.run([sys.executable, "-c", FEAST], cwd=PROJECT, env=environment, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return json.loads(ran.stdout.splitlines()[-1])


def assert_registers(found, features):
    themes = [theme for theme in THEMES if of_theme(theme, features)]
    assert set(found["views"]) == {*(f"customer_{theme}" for theme in themes), "customer_vector"}
    for theme in themes:
        view = found["views"][f"customer_{theme}"]
        assert view["fields"] == [[f.name, f.unit, f.description] for f in of_theme(theme, features)]
        assert (view["description"], view["days"]) == (THEMES[theme], 15)
    assert found["views"]["customer_vector"]["tags"]["feature_hash"] == feature_hash(names_of(features))
    for task in ("repurchase", "churn", "clv"):
        assert found["services"][f"regulars-{task}"] == list(names_of(features))
    assert found["services"]["regulars-online"] == ["features"]


class TestFeast:
    def test_before_there_is_a_shop_it_has_the_whole_catalog(self, tmp_path):
        assert_registers(feast_of(tmp_path / "home"), FEATURES)

    @pytest.mark.parametrize(
        "rows",
        [FULL, FULL | WITHOUT["returns"] | NO_EVENTS],
        ids=["full", "no returns, no events"],
    )
    def test_of_a_shop_it_registers_the_features_it_has(self, tmp_path, rows):
        home = Home(tmp_path / "home")
        made = delivery(rows)
        ingest(replace(made, shop=replace(made.shop, observed_until=at(400))), Lake(home.lake), limit=1)
        build_snapshots(Lake(home.lake), [CUTOFF])
        features = of_shop(Lake(home.lake).shop().has)
        assert (features == FEATURES) == (rows is FULL)
        found = feast_of(home.folder)
        assert_registers(found, features)
        assert_registers(found["registered"], features)
