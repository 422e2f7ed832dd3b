"""What holds of the snapshot whatever the shop: it knows only what was received, and says the same whoever asks.

Every law is compared bit for bit. The statement is compiled once per set of cutoffs and of what else is asked; each
example brings its own rows.
"""

from __future__ import annotations

from functools import cache

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from benchmarks.pandas_features import NAMES, as_frame, pandas_features
from facts.merge import LAKE_COLUMNS
from features.catalog import RECORD
from features.snapshot import NEEDED_FACTS, snapshot
from tests.builders import (
    MOMENT,
    PRODUCTS,
    Line,
    Order,
    Product,
    at,
    corrected_from,
    echoes_of,
    full_histories,
    histories,
    known_arrow_of,
    rows_of,
)

FIRST, SECOND, THIRD = CUTOFFS = (at(30, 12), at(47, 12), at(63, 12))
NEXT_YEAR = (at(381, 12), at(385, 12))  # the record begins between the windows that began 52 weeks before them
OBSERVED_FROM = at(18)
EXAMPLES = settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
FEWER = settings(EXAMPLES, max_examples=8)
# Where pandas adds or divides in another order, the last bit of a float32 may differ.
LAST_BIT = 1


class Engine:
    """The snapshot over tables whose rows come and go, and the table of the customers who were chosen."""

    def __init__(self, cutoffs, *, of_chosen=False, **asked):
        self._connection = ibis.duckdb.connect()
        self._connection.raw_sql("SET TimeZone = 'UTC'; SET threads = 1")
        schemas = {name: LAKE_COLUMNS[name] for name in NEEDED_FACTS} | {"chosen": {"customer_id": "string"}}
        empty = {name: self._connection.create_table(name, schema=ibis.schema(s)) for name, s in schemas.items()}
        chosen = {"customers": empty["chosen"]} if of_chosen else {}
        self._expression = snapshot(empty, cutoffs, **chosen, **asked)  # held: with it goes its table of cutoffs
        self._connection.to_pyarrow(self._expression)
        self._sql = self._connection.compile(self._expression)

    def __call__(self, rows, *, chosen=()):
        incoming = known_arrow_of({name: rows[name] for name in NEEDED_FACTS})
        incoming["chosen"] = pa.table({"customer_id": pa.array(chosen, pa.string())})
        for name, table in incoming.items():
            self._connection.raw_sql(f"DELETE FROM {name}")  # noqa: S608 - our own names
            self._connection.con.register("incoming", table)
            self._connection.raw_sql(f"INSERT INTO {name} SELECT * FROM incoming")  # noqa: S608
        return self._connection.con.sql(self._sql).to_arrow_table()


@cache
def engine(*cutoffs, **asked):
    return Engine(cutoffs, **asked)


def at_cutoff(table, cutoff):
    return table.filter(pa.compute.equal(table["cutoff"], pa.scalar(cutoff, pa.timestamp("us", "UTC"))))


def bits_of(table):
    """Return the keys and the features as bytes: equal only if every bit is, missing values included."""
    features = [table[name].to_numpy(zero_copy_only=False).astype("float32").tobytes() for name in NAMES]
    missing = [table[name].is_null().to_pylist() for name in NAMES]
    return table["customer_id"].to_pylist(), table["cutoff"].to_pylist(), features, missing


class TestWhatIsKnown:
    @EXAMPLES
    @given(past=full_histories(), future=full_histories(max_orders=6), cutoff=st.sampled_from(CUTOFFS), data=st.data())
    def test_the_future_cannot_leak(self, past, future, cutoff, data):
        everything = past + (future + data.draw(echoes_of(past))).received_from(cutoff)
        self._agree_up_to(cutoff, past, everything)

    @FEWER
    @given(past=full_histories(min_orders=1), cutoff=st.sampled_from(CUTOFFS), data=st.data())
    def test_a_correction_changes_nothing_before_it(self, past, cutoff, data):
        self._agree_up_to(cutoff, past, data.draw(corrected_from(past, cutoff)))

    def _agree_up_to(self, cutoff, *told):
        before, after = (engine(*CUTOFFS)(history.rows()) for history in told)
        for known in (c for c in CUTOFFS if c <= cutoff):
            assert bits_of(at_cutoff(before, known)) == bits_of(at_cutoff(after, known))

    @FEWER
    @given(history=full_histories(), known_at=st.sampled_from([FIRST, at(40), SECOND - MOMENT]))
    def test_what_was_known_earlier_is_what_had_been_received(self, history, known_at):
        rows = history.rows()
        dated = ("orders", "events", "products")
        received = {name: [row for row in rows[name] if row["received_at"] < known_at] for name in dated}
        for order in received["orders"]:
            corrected_at = order.get("superseded_at")
            order |= {"superseded_at": corrected_at if corrected_at and corrected_at < known_at else None}
        then = engine(THIRD, known_at=known_at)(rows)
        assert bits_of(then) == bits_of(engine(THIRD)(rows | received))

    @FEWER
    @given(history=full_histories())
    def test_what_is_known_at_the_cutoff_or_later_is_what_is_known(self, history):
        rows = history.rows()
        assert bits_of(engine(SECOND, known_at=THIRD)(rows)) == bits_of(engine(SECOND)(rows))

    @EXAMPLES
    @given(history=histories(min_orders=1))
    def test_what_is_received_in_time_does_count(self, history):
        last = max(order.received_at or order.at for order in history.orders)
        assume(last < THIRD)
        table = at_cutoff(engine(*CUTOFFS)(history.rows()), THIRD)
        assert set(table["customer_id"].to_pylist()) == {order.customer for order in history.orders}
        assert sum(table["order_count_365d"].to_pylist()) == len(history.orders)

    @pytest.mark.parametrize(("received_at", "is_known"), [(SECOND, False), (SECOND - MOMENT, True), (at(10), True)])
    def test_an_order_is_known_after_its_receipt(self, received_at, is_known):
        table = engine(*CUTOFFS)(rows_of([Order(at=at(10), received_at=received_at)]))
        assert at_cutoff(table, SECOND).num_rows == is_known
        assert at_cutoff(table, THIRD).num_rows == 1

    @pytest.mark.parametrize(("corrected_at", "spent"), [(SECOND, 1), (SECOND - MOMENT, 8), (at(20), 8)])
    def test_a_correction_is_known_after_its_receipt(self, corrected_at, spent):
        corrected = Order(at=at(10)).then(Order(at=at(10), received_at=corrected_at, lines=(Line(net="8"),)))
        table = at_cutoff(engine(*CUTOFFS)(rows_of([corrected])), SECOND)
        assert table["spend_amount_90d"].to_pylist() == [spent]
        assert table["order_count_90d"].to_pylist() == [1]

    @pytest.mark.parametrize(
        ("retold_at", "categories"),
        [(at(10), 1), (at(12), 1), (at(12) + MOMENT, 2), (at(20), 2), (at(20) + MOMENT, 1), (SECOND - MOMENT, 1)],
    )
    def test_a_line_is_of_the_category_that_was_known_at_its_receipt(self, retold_at, categories):
        """Cheese bought on days 12 and 20, dairy until it is told to be a gift."""
        bought = [Order(at=at(day), lines=(Line(product="cheese"),)) for day in (12, 20)]
        gift = Product(id="cheese", category="gifts", received_at=retold_at)
        table = at_cutoff(engine(*CUTOFFS)(rows_of(bought, products=(*PRODUCTS, gift))), SECOND)
        assert table["category_count_90d"].to_pylist() == [categories]

    def test_a_visit_day_keeps_its_date_when_an_earlier_order_of_the_day_is_received_later(self):
        """Thirty days before the cutoff, nine hours in; the order of 06:00 comes to light a week after the cutoff."""
        noon, dawn = Order(at=at(17, 13)), Order(at=at(17, 6), received_at=at(54))
        before, after = (engine(*CUTOFFS)(rows_of(orders)) for orders in ([noon], [noon, dawn]))
        assert bits_of(at_cutoff(before, SECOND)) == bits_of(at_cutoff(after, SECOND))
        assert at_cutoff(after, SECOND)["visit_count_30d"].to_pylist() == [1]


class TestWhoeverAsks:
    @EXAMPLES
    @given(history=full_histories())
    def test_other_cutoffs_change_no_row(self, history):
        together, alone = engine(*CUTOFFS)(history.rows()), engine(SECOND)(history.rows())
        assert bits_of(at_cutoff(together, SECOND)) == bits_of(alone)

    def test_a_cutoff_named_twice_counts_once(self):
        rows = rows_of([Order(at=at(10))])
        assert bits_of(engine(SECOND, SECOND)(rows)) == bits_of(engine(SECOND)(rows))

    @EXAMPLES
    @given(history=full_histories(min_orders=2), data=st.data())
    def test_the_order_of_the_rows_is_irrelevant(self, history, data):
        rows = history.rows()
        shuffled = {name: data.draw(st.permutations(table)) for name, table in rows.items()}
        assert bits_of(engine(*CUTOFFS)(rows)) == bits_of(engine(*CUTOFFS)(shuffled))

    @FEWER
    @given(history=full_histories(min_orders=1), chosen=st.sets(st.sampled_from(["ann", "bob", "9", "nobody"])))
    def test_some_customers_have_the_rows_that_they_have_among_all(self, history, chosen):
        rows = history.rows()
        together = engine(*CUTOFFS)(rows)
        theirs = together.filter(pa.compute.is_in(together["customer_id"], pa.array(sorted(chosen), pa.string())))
        assert bits_of(engine(*CUTOFFS, of_chosen=True)(rows, chosen=sorted(chosen))) == bits_of(theirs)

    @FEWER
    @given(history=histories(kinds=("sale", "return", "cancelled")))
    def test_without_corrections_it_need_not_look_for_them(self, history):
        rows = history.rows()
        assert bits_of(engine(*CUTOFFS, has_corrections=False)(rows)) == bits_of(engine(*CUTOFFS)(rows))

    @FEWER
    @given(history=histories(most_corrections=2))
    def test_where_all_are_sales_it_need_not_look_for_others(self, history):
        rows = history.rows()
        assert bits_of(engine(*CUTOFFS, kinds=("sale",))(rows)) == bits_of(engine(*CUTOFFS)(rows))


class TestPandasSaysTheSame:
    @settings(EXAMPLES, max_examples=15)
    @given(history=full_histories())
    def test_of_any_history(self, history):
        self._agree((*CUTOFFS, *NEXT_YEAR), history.rows(), observed_from=OBSERVED_FROM)

    @settings(EXAMPLES, max_examples=15)
    @given(history=full_histories())
    def test_of_what_was_known_earlier(self, history):
        self._agree((THIRD,), history.rows(), known_at=at(40))

    def _agree(self, cutoffs, rows, **asked):
        ours = engine(*cutoffs, **asked)(rows)
        frames = {name: as_frame(table) for name, table in known_arrow_of(rows).items()}
        oracle = pandas_features(frames, cutoffs, **asked)
        assert ours["customer_id"].to_pylist() == oracle["customer_id"].to_list()
        assert ours["cutoff"].to_pylist() == [cutoff.to_pydatetime() for cutoff in oracle["cutoff"]]
        assert tuple(name for name in ours.column_names[2:] if name != RECORD) == NAMES  # pandas leaves it out
        for name in NAMES:
            mine, theirs = ours[name].to_numpy(zero_copy_only=False), oracle[name].to_numpy()
            np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs), err_msg=name)
            there = ~np.isnan(mine)
            try:
                np.testing.assert_array_max_ulp(mine[there], theirs[there], maxulp=LAST_BIT)
            except AssertionError as difference:
                raise AssertionError(f"{name}: {mine} is not {theirs}") from difference

    @pytest.mark.parametrize("days", [380, 400])
    def test_a_year_ago_is_missing_where_the_record_does_not_reach(self, days):
        table = engine(*NEXT_YEAR, observed_from=OBSERVED_FROM)(rows_of([Order(at=at(30)), Order(at=at(days))]))
        assert table["order_count_year_ago_28d"].to_pylist() == [None, 1]
        assert table["spend_amount_year_ago_28d"].to_pylist() == [None, 1]


@pytest.fixture(scope="module", autouse=True)
def _engines():
    yield
    engine.cache_clear()
