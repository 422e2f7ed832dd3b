"""The lake: all tables or none, the same again changes nothing, and damage is said by name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import ibis
import pytest

from facts.contracts import FACTS, QUARANTINE
from facts.errors import DamagedFile, EarlierLake, MissingColumns, NotYet, UnknownName
from facts.ingest import ingest, read_source
from facts.lake import MANIFEST, Lake
from facts.merge import TOUCHED
from tests.builders import Event, Line, Order, at, delivery, rows_of

ORDERS = [Order(at=at(1), lines=(Line(), Line(product="unlisted"))), Order(customer="bob", at=at(2))]
SOUND = rows_of(ORDERS, [Event(at=at(1))])
BROKEN_ORDER = SOUND["orders"][0] | {"order_id": "late", "customer_id": "nobody"}
MIXED = SOUND | {
    "orders": [*SOUND["orders"], SOUND["orders"][0], BROKEN_ORDER],
    "order_lines": [*SOUND["order_lines"], SOUND["order_lines"][0] | {"line_number": 9, "unit_count": -1}],
}
ANYTHING = 1.0  # share of rows that may be set aside
LARGER = rows_of([*ORDERS, Order(at=at(3))], [Event(at=at(1))])
TABLES = (*FACTS, QUARANTINE.name, TOUCHED)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def contents(lake):
    """Return every table of the lake as rows, as a reader sees them."""
    with lake.connect() as connection:
        return {name: lake.table(connection, name).to_pyarrow().to_pylist() for name in TABLES}


def state(lake):
    return {path.name: path.read_bytes() for path in lake.folder.iterdir() if path.is_file()}


class TestIngest:
    def test_every_row_received_is_kept_or_set_aside(self, lake):
        done = ingest(delivery(MIXED), lake, limit=ANYTHING)
        assert done.received == {name: len(rows) for name, rows in MIXED.items()}
        aside = dict.fromkeys(FACTS, 0)
        for (table, _rule, kind), count in done.breaches.items():
            aside[table] += count if kind == "quarantine" else 0
        assert {name: done.kept[name] + aside[name] for name in FACTS} == done.received
        assert {name: done.stored[name].rows for name in FACTS} == done.kept
        assert done.stored["quarantine"].rows == sum(aside.values()) == 3

    def test_breaches_are_told_by_table_rule_and_kind(self, lake):
        assert ingest(delivery(MIXED), lake, limit=ANYTHING).breaches == {
            ("orders", "customer_id is one of the customers", "quarantine"): 1,
            ("orders", "order_id not repeated", "quarantine"): 1,
            ("order_lines", "unit_count not negative, of a return not positive", "quarantine"): 1,
            ("order_lines", "product_id is one of the products", "flag"): 1,
        }

    def test_what_is_read_back_is_what_was_delivered(self, lake):
        ingest(delivery(SOUND), lake)
        found = contents(lake)
        assert found["quarantine"] == []
        for name, key in (("orders", "order_id"), ("events", "message_id"), ("customers", "customer_id")):
            assert [row[key] for row in found[name]] == sorted(row[key] for row in SOUND[name])
        (first, *_rest) = found["orders"]
        assert first["ordered_at"] == first["received_at"] == at(1)

    def test_twice_is_once(self, lake):
        once = ingest(delivery(MIXED), lake, limit=ANYTHING)
        before = state(lake)
        twice = ingest(delivery(MIXED), lake, limit=ANYTHING)
        assert replace(twice, orders=once.orders) == once
        assert once.orders == {"new": 2, "corrected": 0, "unchanged": 0, "ended": 0}
        assert twice.orders == {"new": 0, "corrected": 0, "unchanged": 2, "ended": 0}
        assert state(lake) == before
        assert lake.commit_count() == 1

    def test_rows_that_are_the_same_are_set_aside_as_often_as_they_come(self, lake):
        rows = MIXED | {"orders": [*MIXED["orders"], SOUND["orders"][0], SOUND["orders"][0]]}
        for _time in range(2):
            ingest(delivery(rows), lake, limit=ANYTHING)
            aside = [row for row in contents(lake)["quarantine"] if row["rule"] == "order_id not repeated"]
            assert len(aside) == 3

    def test_what_was_set_aside_before_stays_until_a_whole_record_comes(self, lake):
        ingest(delivery(MIXED), lake, limit=ANYTHING)
        assert ingest(delivery(LARGER), lake).stored["quarantine"].rows == 3
        assert ingest(delivery(LARGER), lake, mode="replace").stored["quarantine"].rows == 0

    def test_rows_in_another_order_are_the_same_lake(self, lake):
        ingest(delivery(MIXED), lake, limit=ANYTHING)
        before = state(lake)
        ingest(delivery({name: rows[::-1] for name, rows in MIXED.items()}), lake, limit=ANYTHING)
        assert state(lake) == before

    def test_a_new_delivery_leaves_no_file_of_the_old(self, lake):
        ingest(delivery(SOUND), lake)
        ingest(delivery(LARGER), lake)
        assert len(contents(lake)["orders"]) == 3
        assert len(list(lake.folder.glob("*.parquet"))) == len(TABLES)

    def test_a_missing_column_is_named(self, lake):
        sound = delivery(SOUND)
        tables = sound.tables | {"orders": sound.tables["orders"].rename(order_date="ordered_at")}
        with pytest.raises(
            MissingColumns, match="'orders' of builders has no column 'ordered_at'; did you mean 'order"
        ):
            ingest(replace(sound, tables=tables), lake)

    def test_an_unknown_source_is_told_the_nearest(self):
        with pytest.raises(UnknownName, match="no source named 'complete_journy'; did you mean 'complete-journey'"):
            read_source("complete_journy")


class TestStoppedHalfWay:
    def test_files_without_a_manifest_count_for_nothing_and_are_swept_up(self, lake, tmp_path):
        ingest(delivery(SOUND), lake)
        before, manifest = contents(lake), (lake.folder / MANIFEST).read_text()
        further = Lake(shutil.copytree(lake.folder, tmp_path / "further"))
        ingest(delivery(LARGER), further)
        newer = state(further)
        for name, content in newer.items():  # as if the second ingest had stopped before its manifest
            if name != MANIFEST:
                (lake.folder / name).write_bytes(content)
        (lake.folder / ".orders.1.partial").write_bytes(b"PAR1 and then no more")
        assert (lake.folder / MANIFEST).read_text() == manifest
        assert contents(lake) == before
        ingest(delivery(LARGER), lake)
        assert state(lake) == newer

    def test_a_table_that_fails_leaves_the_old_lake(self, lake):
        ingest(delivery(SOUND), lake)
        before, manifest = contents(lake), (lake.folder / MANIFEST).read_bytes()
        with lake.connect() as connection:
            fine = connection.create_table("fine", ibis.memtable({"x": [1]}), temp=True)
            text = connection.create_table("text", ibis.memtable({"x": ["no number"]}), temp=True)
            failing = text.select(x=text.x.cast("int64"))
            with pytest.raises(Exception, match="no number"):
                lake.write_facts({"orders": fine, "order_lines": failing})
        assert (lake.folder / MANIFEST).read_bytes() == manifest
        assert contents(lake) == before

    def test_a_table_that_fails_in_a_new_lake_leaves_none(self, lake):
        with lake.connect() as connection:
            failing = connection.create_table("t", ibis.memtable({"x": ["no number"]}), temp=True).cast({"x": "int64"})
            with pytest.raises(Exception, match="no number"):
                lake.write_facts({"orders": failing})
        with pytest.raises(NotYet, match="regulars ingest"):
            lake.shop()


class TestDamage:
    @pytest.fixture
    def orders_file(self, lake):
        ingest(delivery(SOUND), lake)
        return lake.folder / lake.stored("orders").file

    def refused(self, lake, match):
        with lake.connect() as connection, pytest.raises(DamagedFile, match=match) as refusal:
            lake.table(connection, "orders")
        return str(refusal.value)

    def test_a_missing_file_is_named(self, lake, orders_file):
        orders_file.unlink()
        said = self.refused(lake, "it is missing")
        assert str(orders_file) in said
        assert "regulars ingest" in said

    @pytest.mark.parametrize("kept_share", [0, 0.5, 0.99])
    def test_a_truncated_file_is_named(self, lake, orders_file, kept_share):
        content = orders_file.read_bytes()
        orders_file.write_bytes(content[: int(len(content) * kept_share)])
        assert str(orders_file) in self.refused(lake, "not what was written")

    def test_one_changed_bit_is_named(self, lake, orders_file):
        content = bytearray(orders_file.read_bytes())
        content[len(content) // 2] ^= 1
        orders_file.write_bytes(content)
        assert str(orders_file) in self.refused(lake, "not what was written")

    def test_another_ingest_does_not_build_on_it(self, lake, orders_file):
        sound = orders_file.read_bytes()
        orders_file.write_bytes(b"")
        with pytest.raises(DamagedFile, match=r"bring back a copy, or remove .*lake and `regulars ingest` all"):
            ingest(delivery(LARGER), lake)
        orders_file.write_bytes(sound)
        assert ingest(delivery(LARGER), lake).orders["unchanged"] == 2

    @pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"tables": {}}'])
    def test_a_manifest_that_is_none_is_named(self, lake, orders_file, content):
        assert orders_file.exists()
        (lake.folder / MANIFEST).write_text(content)
        with pytest.raises(
            DamagedFile, match=r"manifest\.json: it is not a manifest; remove .* and run `regulars ingest`"
        ):
            lake.shop()

    @pytest.mark.parametrize("number", [{}, {"format": 1}, {"format": 99}])
    def test_a_lake_of_another_version_says_so_and_stays(self, lake, orders_file, number):
        assert orders_file.exists()
        manifest = json.loads((lake.folder / MANIFEST).read_text())
        del manifest["format"]
        (lake.folder / MANIFEST).write_text(json.dumps(manifest | number))
        before = state(lake)
        for use in (lake.shop, lambda: ingest(delivery(LARGER), lake), lambda: lake.is_empty):
            with pytest.raises(EarlierLake, match=r"lake is of another version of Regulars.*; move the folder away"):
                use()
        assert state(lake) == before


class TestManifest:
    def test_the_shop_is_read_back(self, lake):
        ingest(delivery(SOUND), lake)
        has = ("products", "categories", "departments", "brands", "private_label", "units", "lines", "hours")
        assert lake.shop() == replace(delivery(SOUND).shop, has=(*has, "campaigns", "second_year"))

    def test_it_names_every_file_with_its_rows(self, lake):
        done = ingest(delivery(SOUND), lake)
        tables = json.loads((lake.folder / MANIFEST).read_text())["tables"]
        assert {name: entry["rows"] for name, entry in tables.items()} == {n: s.rows for n, s in done.stored.items()}
        assert {entry["file"] for entry in tables.values()} == {path.name for path in lake.folder.glob("*.parquet")}

    def test_the_digest_tells_other_content(self, lake):
        ingest(delivery(SOUND), lake)
        before = lake.digest("orders", "events")
        assert lake.digest("events", "orders") == before
        ingest(delivery(LARGER), lake)
        assert lake.digest("orders", "events") != before

    def test_before_the_first_ingest_the_next_step_is_told(self, lake):
        with pytest.raises(NotYet, match="there is no table 'orders' in the lake yet; run `regulars ingest` first"):
            lake.stored("orders")
