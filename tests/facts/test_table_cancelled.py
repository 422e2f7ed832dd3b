"""Orders that were cancelled some time after they were placed: until then they were sales, and nobody knew better."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from facts.ingest import ingest
from facts.ingest.table import BadFile
from facts.lake import Lake
from features.catalog import FEATURES
from features.snapshot import NEEDED_FACTS, snapshot
from tests.facts.deliveries import touched_by, versions_in
from tests.facts.table_shop import DELIVERED_AT, LINES, ORDERS, deliver, store, told

HEAD = "Order,Customer,Date,Total,Cancelled\n"
BEFORE = "1,ann,2024-03-01 10:00,30,\n2,bob,2024-03-31 10:00,20,\n3,cat,2024-05-02 10:00,5,\n"
AFTER = BEFORE.replace("20,", "20,2024-04-25 12:00")
DATED = told(ORDERS, columns={"order_id": "Order", "cancelled_at": "Cancelled"})
PLACED_AT = datetime(2024, 3, 31, 8, tzinfo=UTC)
CANCELLED_AT = datetime(2024, 4, 25, 10, tzinfo=UTC)
APRIL, MAY = datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
ASKED = ("order_count_365d", "cancelled_order_count_365d", "spend_amount_365d")


def take(folder, *texts, mapping=DATED, ats=()):
    """Ingest files one after the other; return the lake and what was said of the last."""
    lake = Lake(folder / "lake")
    for i, text in enumerate(texts):
        (folder / str(i)).mkdir()
        at = ats[i] if ats else DELIVERED_AT
        done = ingest(deliver(folder / str(i), HEAD + text, mapping), lake, at=at)
    return lake, done.orders


def features_at(lake, cutoff):
    """Return by customer the features that an order and its cancellation change."""
    asked = [feature for feature in FEATURES if feature.name in ASKED]
    with lake.connect() as connection:
        facts = {name: lake.table(connection, name) for name in NEEDED_FACTS}
        found = connection.to_pyarrow(snapshot(facts, [cutoff], asked)).to_pylist()
    return {row["customer_id"]: tuple(row[name] for name in ASKED) for row in found}


class TestADatedCancellation:
    def test_up_to_it_the_order_was_a_sale(self, tmp_path):
        lake, orders = take(tmp_path, AFTER)
        assert orders == {"new": 3, "corrected": 0, "unchanged": 0, "ended": 0}
        assert versions_in(lake, "2") == [(0, PLACED_AT, CANCELLED_AT), (1, CANCELLED_AT, None)]
        assert features_at(lake, APRIL)["bob"] == (1, 0, 20)
        assert features_at(lake, MAY)["bob"] == (0, 1, 0)

    @pytest.mark.parametrize("cutoff", [APRIL, CANCELLED_AT])
    def test_nothing_before_it_knows_of_it(self, tmp_path, cutoff):
        (tmp_path / "without").mkdir()
        without, _orders = take(tmp_path / "without", BEFORE)
        lake, _orders = take(tmp_path, AFTER)
        assert features_at(lake, cutoff) == features_at(without, cutoff)

    def test_the_same_file_again_changes_nothing(self, tmp_path):
        lake, orders = take(tmp_path, AFTER, AFTER)
        assert orders == {"new": 0, "corrected": 0, "unchanged": 3, "ended": 0}
        assert len(versions_in(lake, "2")) == 2

    def test_told_in_a_later_file_it_is_known_from_its_time(self, tmp_path):
        lake, orders = take(tmp_path, BEFORE, AFTER)
        assert orders == {"new": 0, "corrected": 1, "unchanged": 2, "ended": 0}
        assert versions_in(lake, "2") == [(0, PLACED_AT, CANCELLED_AT), (1, CANCELLED_AT, None)]
        assert touched_by(lake, 2) == {"bob": CANCELLED_AT}

    def test_of_a_late_order_that_was_cancelled_before_it_came_nothing_was_known(self, tmp_path):
        first = "".join(line + "\n" for line in BEFORE.splitlines() if not line.startswith("2"))
        lake, orders = take(tmp_path, first, AFTER)
        assert orders == {"new": 1, "corrected": 0, "unchanged": 2, "ended": 0}
        assert versions_in(lake, "2") == [(0, DELIVERED_AT, None)]

    def test_an_order_after_the_former_record_has_both_versions(self, tmp_path):
        later = AFTER + "4,bob,2024-05-03 10:00,8,2024-05-04 10:00\n"
        lake, orders = take(tmp_path, AFTER, later)
        assert orders == {"new": 1, "corrected": 0, "unchanged": 3, "ended": 0}
        at = [datetime(2024, 5, day, 8, tzinfo=UTC) for day in (3, 4)]
        assert versions_in(lake, "4") == [(0, *at), (1, at[1], None)]
        assert touched_by(lake, 2) == {"bob": at[0]}

    def test_before_its_order_it_is_known_with_the_order(self, tmp_path):
        lake, _orders = take(tmp_path, BEFORE.replace("20,", "20,2024-03-31"))
        assert versions_in(lake, "2") == [(0, PLACED_AT, None)]

    def test_the_lines_stand_in_both_versions(self, tmp_path):
        text = "Order,Customer,Date,Product,Quantity,Price,Gone\n1,ann,2024-01-05,a,1,2,2024-01-09\n1,,,b,2,1,\n"
        _done, stored = store(tmp_path, deliver(tmp_path, text, told(LINES, columns={"cancelled_at": "Gone"})))
        found = sorted((row["version"], row["product_id"], row["net_amount"]) for row in stored["order_lines"])
        assert found == [(0, "a", 2), (0, "b", 2), (1, "a", 2), (1, "b", 2)]
        assert [row["kind"] for row in stored["orders"]] == ["sale", "cancelled"]


class TestWhatIsNoDate:
    def test_the_order_is_set_aside(self, tmp_path):
        text = AFTER + "4,bob,2024-05-03 10:00,8,soon\n5,bob,2024-05-03 10:00,8,2024-05-04\n"
        _done, stored = store(tmp_path, deliver(tmp_path, HEAD + text, DATED))
        assert {row["source_line"] for row in stored["quarantine"]} == {"orders.csv:5"}
        assert {row["rule"] for row in stored["quarantine"]} == {"cancelled_at is a date as the mapping says"}

    def test_a_column_that_says_only_whether_is_refused(self, tmp_path):
        with pytest.raises(BadFile, match=r"'Cancelled' is 'yes', not a date.*only whether is columns\.status"):
            deliver(tmp_path, HEAD + AFTER.replace("2024-04-25 12:00", "yes"), DATED)
