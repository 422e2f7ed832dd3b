"""Lists hold the best, at most as much as asked for, and of what was bought before no more than is allowed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.recommending.grouped import places
from scoring.list_order import OfCustomers, put_in_order


@st.composite
def offers(draw) -> OfCustomers:
    counts = draw(st.lists(st.integers(1, 15), min_size=1, max_size=4))
    rows = sum(counts)
    score = draw(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, 7.0]), min_size=rows, max_size=rows))
    own = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    category = draw(st.lists(st.integers(-1, 3), min_size=rows, max_size=rows))
    return OfCustomers(
        customer=np.repeat(np.arange(len(counts)), counts),
        product=np.concatenate([np.arange(count) for count in counts]),
        score=np.array(score),
        is_own=np.array(own),
        category=np.array(category),
    )


@given(offers(), st.integers(1, 8), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_every_list_keeps_to_what_is_asked(rows, count, diversity, repeat_share):
    order = put_in_order(rows, count=count, diversity=diversity, repeat_share=repeat_share)
    assert len(set(order.tolist())) == len(order)
    assert (np.diff(rows.customer[order]) >= 0).all()
    for customer in np.unique(rows.customer):
        listed, held = order[rows.customer[order] == customer], rows.customer == customer
        allowed = int(repeat_share * count) if repeat_share < 1 else count
        assert rows.is_own[listed].sum() <= allowed
        most = int((~rows.is_own[held]).sum()) + min(int(rows.is_own[held].sum()), allowed)
        assert len(listed) == min(count, most)


@given(offers(), st.integers(1, 8))
def test_without_settings_the_best_come_first(rows, count):
    order = put_in_order(rows, count=count)
    expected = np.lexsort((rows.product, -rows.score, rows.customer))
    assert order.tolist() == expected[places(rows.customer[expected]) < count].tolist()


def test_a_varied_list_takes_the_next_best_of_another_category_and_the_best_stays_first():
    rows = OfCustomers(
        customer=np.zeros(4, dtype=np.int64),
        product=np.arange(4),
        score=np.array([4.0, 3.9, 3.5, 0.0]),
        is_own=np.zeros(4, dtype=bool),
        category=np.array([1, 1, 2, 3]),
    )
    assert put_in_order(rows, count=3, diversity=0.2).tolist() == [0, 2, 1]
    assert put_in_order(rows, count=3, diversity=1.0).tolist() == [0, 2, 3]
    assert put_in_order(rows, count=3).tolist() == [0, 1, 2]
