"""BG/NBD over a snapshot: what it is asked, what it says of a customer without a history, and when it cannot say."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest

from facts.ingest import ingest
from facts.lake import Lake
from features.bg_nbd import BgNbd, alive_probability, expected_orders
from features.build import build_snapshots
from features.catalog import FEATURES, NAMES, feature, of_theme
from features.lifetime import INPUTS, Lifetimes, fit_parameters, with_lifetime
from features.snapshot import snapshot
from features.snapshots import SNAPSHOTS, read_snapshots
from tests.builders import Line, Order, at, delivery, rows_of, shop

CUTOFF = at(100)
GROCER = BgNbd(r=1.2, alpha=1.5, a=0.4, b=3.0)
LIFETIME = of_theme("lifetime")
FITTED = [record.name for record in LIFETIME]
ASKED = [feature(name) for name in INPUTS]


def at_every(days, customer, *, first=0, last=100):
    return [Order(customer=customer, at=at(day, 9)) for day in range(first, last, days)]


def rows_before(orders, cutoff=CUTOFF):
    return snapshot(shop(orders), [cutoff], ASKED).to_pyarrow()


REGULARS = [order for number in range(60) for order in at_every(7 + number, f"c{number:02}", first=number % 11)]


class TestHistories:
    def test_they_are_repeat_visit_days_and_days_to_the_last_and_to_now(self):
        orders = [
            *at_every(30, "ann", first=10),
            Order(customer="ann", at=at(10, 18)),
            Order(customer="bob", at=at(96)),
        ]
        known = Lifetimes.of(rows_before(orders))
        assert known.frequency.tolist() == [2, 0]  # days 10, 40 and 70; the second order of a day is none
        np.testing.assert_allclose(known.recency, [60, 0], atol=1e-4)
        np.testing.assert_allclose(known.age, [90 - 9 / 24, 4], atol=1e-4)

    @pytest.mark.parametrize("cutoff", [at(1, 0.001), at(2000)])
    def test_two_visits_within_seconds_around_a_midnight_are_two(self, cutoff):
        rows = rows_before(
            [*at_every(9, "ann"), Order(customer="bob", at=at(0, 23.9998)), Order(customer="bob", at=at(1))], cutoff
        )
        known = Lifetimes.of(rows)
        assert known.frequency[1] == 1
        assert 0 < known.recency[1] < 0.01
        assert with_lifetime(rows, LIFETIME, asdict(GROCER))["alive_probability"].null_count == 0

    def test_what_was_sent_back_or_cancelled_is_no_visit(self):
        sale = Order(customer="ann", at=at(10))
        others = [replace(sale, at=at(50), kind="return"), replace(sale, at=at(60), kind="cancelled")]
        known = Lifetimes.of(rows_before([sale, *others]))
        assert (known.frequency.tolist(), known.recency.tolist(), known.age.tolist()) == ([0], [0], [90])


class TestWhatIsSaid:
    def test_it_is_what_the_model_says(self):
        rows = rows_before(REGULARS)
        said = with_lifetime(rows, LIFETIME, asdict(GROCER))
        known = Lifetimes.of(rows)
        history = (known.frequency, known.recency, known.age)
        assert said.column_names == ["customer_id", "cutoff", *INPUTS, *FITTED]
        assert {said[name].type for name in FITTED} == {pa.float32()}
        np.testing.assert_array_equal(said["alive_probability"], alive_probability(GROCER, *history).astype("float32"))
        for days in (7, 30, 90):
            expected = expected_orders(GROCER, *history, horizon_days=days).astype("float32")
            np.testing.assert_array_equal(said[f"expected_order_count_{days}d"], expected)

    def test_who_came_once_may_come_again(self):
        """In this model customers leave after a repeat visit only; the longer the silence, the rarer they come."""
        rows = rows_before([Order(customer="ann", at=at(2)), Order(customer="bob", at=at(98))])
        said = with_lifetime(rows, LIFETIME, asdict(GROCER))
        assert said["alive_probability"].to_pylist() == [1, 1]
        ann, bob = said["expected_order_count_30d"].to_pylist()
        assert 0 < ann < bob

    def test_of_who_never_bought_nothing_is_said(self):
        cancelled = Order(customer="ann", at=at(10), kind="cancelled")
        asked = [*ASKED, feature("cancelled_order_count_365d")]
        rows = snapshot(shop([cancelled, Order(customer="bob", at=at(10))]), [CUTOFF], asked).to_pyarrow()
        said = with_lifetime(rows, LIFETIME, asdict(GROCER))
        assert said["customer_id"].to_pylist() == ["ann", "bob"]
        assert [said[name].to_pylist()[0] for name in FITTED] == [None] * len(FITTED)
        assert all(said[name].to_pylist()[1] > 0 for name in FITTED)

    def test_without_parameters_every_value_is_missing(self):
        said = with_lifetime(rows_before(REGULARS), LIFETIME, None)
        assert [said[name].null_count for name in FITTED] == [said.num_rows] * len(FITTED)

    def test_of_no_customers_there_is_a_column_all_the_same(self):
        said = with_lifetime(rows_before([]), LIFETIME, asdict(GROCER))
        assert (said.num_rows, said.column_names[-len(FITTED) :]) == (0, FITTED)

    def test_a_shop_is_asked_for_the_features_it_has(self):
        said = with_lifetime(rows_before(REGULARS), [feature("alive_probability")], asdict(GROCER))
        assert said.column_names[-1] == "alive_probability"
        assert "expected_order_count_30d" not in said.column_names

    def test_what_it_looks_at_is_in_every_shop(self):
        assert [name for name in INPUTS if feature(name).needs] == []
        assert set(FITTED) == {record.name for record in FEATURES if record.theme == "lifetime"} <= set(NAMES)


class TestFit:
    def test_it_does_not_hang_on_the_order_of_the_rows(self):
        rows = rows_before(REGULARS)
        fitted = fit_parameters(rows)
        assert isinstance(fitted, BgNbd)
        assert fit_parameters(rows.take(list(range(rows.num_rows))[::-1])) == fitted

    def test_who_never_bought_has_no_part_in_it(self):
        cancelled = [Order(customer=f"x{number}", at=at(10), kind="cancelled") for number in range(30)]
        asked = [*ASKED, feature("cancelled_order_count_365d")]
        rows = snapshot(shop([*REGULARS, *cancelled]), [CUTOFF], asked).to_pyarrow()
        assert rows.num_rows == 90
        assert fit_parameters(rows) == fit_parameters(rows_before(REGULARS))

    @pytest.mark.parametrize(
        ("orders", "reason"),
        [
            ([], "cannot fit BG/NBD: 0 customers, at least 50 are needed"),
            (at_every(7, "ann"), "cannot fit BG/NBD: 1 customers, at least 50 are needed"),
            (
                [Order(customer=f"c{number}", at=at(number)) for number in range(70)],
                "cannot fit BG/NBD: 0 of 70 customers came back, 10 are needed",
            ),
        ],
        ids=["nobody", "one", "once"],
    )
    def test_too_little_says_so(self, orders, reason):
        assert fit_parameters(rows_before(orders)) == reason


class TestInTheLake:
    """What a part keeps of the model, so that customers who are computed again are asked the same one."""

    def build(self, lake, orders, *, until):
        made = delivery(rows_of(orders))
        ingest(replace(made, shop=replace(made.shop, observed_until=at(until))), lake)
        build_snapshots(lake)
        (*_, part) = lake.parts(SNAPSHOTS).values()
        with lake.connect() as connection:
            return read_snapshots(lake, connection, [at(until)]).to_pyarrow(), part.made_from["lifetime"]

    def test_the_parameters_of_a_part_answer_for_its_rows(self, tmp_path):
        rows, kept = self.build(Lake(tmp_path / "lake"), REGULARS, until=50)
        plain = rows.drop_columns(FITTED)
        assert asdict(fit_parameters(plain)) == kept
        again = with_lifetime(plain, LIFETIME, kept)
        assert [name for name in FITTED if not again[name].equals(rows[name])] == []
        assert rows["expected_order_count_90d"].null_count == 0

    def test_why_there_are_none_is_kept_and_every_value_is_missing(self, tmp_path):
        lake = Lake(tmp_path / "lake")
        rows, kept = self.build(lake, at_every(5, "ann", last=30), until=30)
        assert kept == {"missing": "cannot fit BG/NBD: 1 customers, at least 50 are needed"}
        assert [rows[name].null_count for name in FITTED] == [1] * len(FITTED)
        late = Order(customer="ann", at=at(11), id="late", lines=(Line(net="5"),))
        rows, kept_after = self.build(lake, [late], until=30)
        assert kept_after == kept
        assert rows["visit_count"].to_pylist() == [7]
        assert [rows[name].null_count for name in FITTED] == [1] * len(FITTED)
