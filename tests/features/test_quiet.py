"""Quiet customers by the column are those customers one by one, bit for bit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import nan
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.event_log.records import to_microseconds
from facts.order_names import ORDER_EVENTS
from features.live import (
    LIVE,
    LIVE_EVENTS,
    REACH,
    SNAPSHOT_COLUMNS,
    LaterSnapshot,
    LiveEvent,
    SnapshotRow,
    live_features,
)
from features.live_many import Many
from features.quiet import quiet_matrix, that_are_loud, that_last

CUTOFF = datetime(2024, 6, 1, 4, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
LASTING = sorted(that_last(LIVE))
MICROSECOND = timedelta(microseconds=1)

_FIGURES = st.one_of(st.just(nan), st.sampled_from([0.0, -0.0, 1.0, 17.3]), st.floats(0, 400, width=32))
_ROWS = st.fixed_dictionaries(dict.fromkeys(SNAPSHOT_COLUMNS, _FIGURES))
_AGES = st.one_of(st.just(0), st.integers(0, REACH // MICROSECOND))
_REACH_US = REACH // MICROSECOND


@given(
    customers=st.lists(
        st.tuples(_ROWS, st.dictionaries(st.sampled_from(LASTING), st.integers(1, _REACH_US))), min_size=1, max_size=5
    ),
    age=_AGES,
)
def test_by_the_column_is_one_by_one(customers, age):
    at = CUTOFF + age * MICROSECOND
    columns = {name: np.array([row[name] for row, _ in customers]) for name in SNAPSHOT_COLUMNS}
    last_at = {
        name: np.array([to_microseconds(at) - ago[name] if name in ago else nan for _, ago in customers])
        for name in LASTING
    }
    many = quiet_matrix(Many(columns, last_at, cutoff=CUTOFF, at=at), zone=ZONE)
    for (row, ago), answered in zip(customers, many, strict=True):
        events = [
            LiveEvent(name, name, at - back * MICROSECOND, at - back * MICROSECOND, {}) for name, back in ago.items()
        ]
        single = live_features(SnapshotRow(CUTOFF, row), events, at=at, zone=ZONE).vector
        np.testing.assert_array_equal(answered, np.array(single, dtype=np.float32))


def test_every_event_that_matters_lasts_is_loud_or_tells_of_an_order():
    assert {*that_last(LIVE), *that_are_loud(LIVE), *ORDER_EVENTS} == LIVE_EVENTS
    assert that_last(LIVE)
    assert not that_last(LIVE) & that_are_loud(LIVE)


def test_a_snapshot_of_later_is_refused():
    columns = {name: np.zeros(1) for name in SNAPSHOT_COLUMNS}
    with pytest.raises(LaterSnapshot):
        Many(columns, {}, cutoff=CUTOFF, at=CUTOFF - MICROSECOND)
