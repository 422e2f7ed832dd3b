"""What holds of the snapshot whatever the shop: it knows only what was received, and says the same whoever asks.

Every law is compared bit for bit. The statement is compiled once per set of cutoffs; each example brings its own rows.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from benchmarks.pandas_features import as_frame, pandas_features
from facts.contracts import FACTS
from features.catalog import NAMES
from features.snapshot import NEEDED_FACTS, snapshot
from tests.builders import Order, arrow_of, at, echoes_of, histories, rows_of

FIRST, SECOND, THIRD = CUTOFFS = (at(30, 12), at(47, 12), at(63, 12))
EXAMPLES = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
# Where pandas adds or divides in another order, the last bit of a float32 may differ.
LAST_BIT = 1


class Engine:
    """The snapshot over tables whose rows come and go."""

    def __init__(self, cutoffs):
        self._connection = ibis.duckdb.connect()
        empty = {name: self._connection.create_table(name, schema=FACTS[name].schema) for name in NEEDED_FACTS}
        self._expression = snapshot(empty, cutoffs)  # held: with it goes its table of cutoffs
        self._connection.to_pyarrow(self._expression)
        self._sql = self._connection.compile(self._expression)

    def __call__(self, rows):
        for name, table in arrow_of({name: rows[name] for name in NEEDED_FACTS}).items():
            self._connection.raw_sql(f"DELETE FROM {name}")  # noqa: S608 - our own names
            self._connection.con.register("incoming", table)
            self._connection.raw_sql(f"INSERT INTO {name} SELECT * FROM incoming")  # noqa: S608
        return self._connection.con.sql(self._sql).to_arrow_table()


@cache
def engine(*cutoffs):
    return Engine(cutoffs)


def at_cutoff(table, cutoff):
    return table.filter(pa.compute.equal(table["cutoff"], pa.scalar(cutoff, pa.timestamp("us", "UTC"))))


def bits_of(table):
    """Return the keys and the features as bytes: equal only if every bit is, missing values included."""
    features = [table[name].to_numpy(zero_copy_only=False).astype("float32").tobytes() for name in NAMES]
    missing = [table[name].is_null().to_pylist() for name in NAMES]
    return table["customer_id"].to_pylist(), table["cutoff"].to_pylist(), features, missing


@EXAMPLES
@given(past=histories(), future=histories(max_orders=6), cutoff=st.sampled_from(CUTOFFS), data=st.data())
def test_the_future_cannot_leak(past, future, cutoff, data):
    everything = past + (future + data.draw(echoes_of(past))).received_from(cutoff)
    before, after = (engine(*CUTOFFS)(history.rows()) for history in (past, everything))
    for known in (c for c in CUTOFFS if c <= cutoff):
        assert bits_of(at_cutoff(before, known)) == bits_of(at_cutoff(after, known))


@EXAMPLES
@given(history=histories(min_orders=1))
def test_what_is_received_in_time_does_count(history):
    last = max(order.received_at or order.at for order in history.orders)
    assume(last < THIRD)
    table = at_cutoff(engine(*CUTOFFS)(history.rows()), THIRD)
    assert set(table["customer_id"].to_pylist()) == {order.customer for order in history.orders}
    assert sum(table["order_count_365d"].to_pylist()) == len(history.orders)


@EXAMPLES
@given(history=histories())
def test_other_cutoffs_change_no_row(history):
    together, alone = engine(*CUTOFFS)(history.rows()), engine(SECOND)(history.rows())
    assert bits_of(at_cutoff(together, SECOND)) == bits_of(alone)


@EXAMPLES
@given(history=histories(min_orders=2), data=st.data())
def test_the_order_of_the_rows_is_irrelevant(history, data):
    rows = history.rows()
    shuffled = {name: data.draw(st.permutations(table)) for name, table in rows.items()}
    assert bits_of(engine(*CUTOFFS)(rows)) == bits_of(engine(*CUTOFFS)(shuffled))


@settings(EXAMPLES, max_examples=15)
@given(history=histories())
def test_it_says_what_pandas_says(history):
    rows = history.rows()
    ours = engine(*CUTOFFS)(rows)
    frames = {name: as_frame(table) for name, table in arrow_of(rows).items()}
    oracle = pandas_features(frames, CUTOFFS)
    assert ours["customer_id"].to_pylist() == oracle["customer_id"].to_list()
    assert ours["cutoff"].to_pylist() == [cutoff.to_pydatetime() for cutoff in oracle["cutoff"]]
    for name in NAMES:
        mine, theirs = ours[name].to_numpy(zero_copy_only=False), oracle[name].to_numpy()
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs), err_msg=name)
        there = ~np.isnan(mine)
        np.testing.assert_array_max_ulp(mine[there], theirs[there], maxulp=LAST_BIT)


@pytest.mark.parametrize(
    ("received_at", "is_known"), [(SECOND, False), (SECOND - timedelta(microseconds=1), True), (at(10), True)]
)
def test_an_order_is_known_after_its_receipt(received_at, is_known):
    table = engine(*CUTOFFS)(rows_of([Order(at=at(10), received_at=received_at)]))
    assert at_cutoff(table, SECOND).num_rows == is_known
    assert at_cutoff(table, THIRD).num_rows == 1


def test_a_visit_day_keeps_its_date_when_an_earlier_order_of_the_day_is_received_later():
    """Thirty days before the cutoff, nine hours in; the order of 06:00 comes to light a week after the cutoff."""
    noon, dawn = Order(at=at(17, 13)), Order(at=at(17, 6), received_at=at(54))
    before, after = (engine(*CUTOFFS)(rows_of(orders)) for orders in ([noon], [noon, dawn]))
    assert bits_of(at_cutoff(before, SECOND)) == bits_of(at_cutoff(after, SECOND))
    assert at_cutoff(after, SECOND)["visit_count_30d"].to_pylist() == [1]


def test_a_cutoff_named_twice_counts_once():
    rows = rows_of([Order(at=at(10))])
    assert bits_of(engine(SECOND, SECOND)(rows)) == bits_of(engine(SECOND)(rows))


@pytest.fixture(scope="module", autouse=True)
def _engines():
    yield
    engine.cache_clear()
