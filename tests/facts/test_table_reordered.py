"""An export in another order says the same: what an order is does not hang on where its rows stand."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from facts.ingest import ingest
from facts.lake import Lake
from tests.facts.table_shop import DELIVERED_AT, LINES, deliver, told

HEAD = "Order,Customer,Date,Product,Quantity,Price,Off\n"
LINE = "1,ann,2024-01-05,milk,1,1,\n"
BOUGHT = st.tuples(
    st.sampled_from("12"), st.sampled_from(["milk", "tea", ""]), st.sampled_from("12"), st.sampled_from("136")
)
OF_LINES = told(LINES, columns={"order_discount_amount": "Off"})
OF_ORDERS = told(LINES, file={"row": "order"}, columns={"discount_amount": "Off"})
WITHOUT_IDS = {"columns": {"order_id": None}}


def ingest_all(folder, texts, mapping):
    """Ingest files one after the other; return what was said of the orders of each."""
    lake, said = Lake(folder / "lake"), []
    for i, text in enumerate(texts):
        (folder / str(i)).mkdir()
        delivery = deliver(folder / str(i), HEAD + text, mapping)
        said.append(ingest(delivery, lake, at=DELIVERED_AT, limit=1.0).orders)
    return said


@pytest.mark.parametrize(
    ("mapping", "has_lines"),
    [
        (OF_LINES, True),
        (told(OF_LINES, **WITHOUT_IDS), True),
        (OF_ORDERS, False),
        (told(OF_ORDERS, **WITHOUT_IDS), False),
    ],
    ids=["lines", "lines without ids", "orders", "orders without ids"],
)
@settings(deadline=None, max_examples=6, phases=(Phase.explicit, Phase.generate))
@given(bought=st.lists(BOUGHT, min_size=2, max_size=7), data=st.data())
def test_the_same_rows_in_another_order_change_nothing(mapping, has_lines, bought, data):
    rows = [
        f"{who if has_lines else number},c{who},2024-01-05,{product},{count},{price},1\n"
        for number, (who, product, count, price) in enumerate(bought)
    ]
    shuffled = data.draw(st.permutations(rows))
    with TemporaryDirectory() as folder:
        first, then = ingest_all(Path(folder), ["".join(rows), "".join(shuffled)], mapping)
    assert then == {"new": 0, "corrected": 0, "unchanged": first["new"], "ended": 0}


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 4), (3, 1)])
def test_a_line_that_stands_several_times_counts_each(tmp_path, before, after):
    _first, then, again = ingest_all(tmp_path, [LINE * before, LINE * after, LINE * after], LINES)
    assert (then["corrected"], again["corrected"]) == (1, 0)
