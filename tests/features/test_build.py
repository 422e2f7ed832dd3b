"""What a build does to what stands: a new day adds, late facts touch their customers, damage is mended, no more.

Real lakes on disk; everything that reaches them goes through the one way in.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facts.errors import GateFailed, UnknownName
from facts.home import PROJECT
from facts.ingest import ingest
from facts.lake import MANIFEST, Lake
from features.build import build_snapshots, default_cutoffs, next_cutoffs, snapshot_as_known
from features.catalog import BY_NAME, feature_hash, names_of, of_shop
from features.measures import BuyTillYouDie
from features.snapshots import SNAPSHOTS, VECTOR, VECTORS, part_key, snapshot_names, standing_cutoffs
from features.vectors import unpack
from tests.builders import CAMPAIGN, PRODUCTS, Event, Line, Order, at, delivery, rows_of

CUSTOMERS = [f"c{number:02}" for number in range(60)]
ORDERS = [
    Order(
        customer=customer,
        id=f"{customer}-{visit}",
        at=at(day, 9 + number % 10),
        lines=(
            Line(product="milk", net=f"{1 + number}.50"),
            Line(product="cheese" if number % 20 == 0 else ("bread", "soap")[visit % 2], discount="0.20"),
        ),
    )
    for number, customer in enumerate(CUSTOMERS)
    for visit, day in enumerate(range(number % 9, 60, 9 + number % 23))
]
EVENTS = [Event(customer="c01", event=CAMPAIGN, at=at(5))]
EARLY, MIDDLE, LATE = STANDING = (at(32), at(46), at(60))


def deliver(lake, orders, events=(), *, until=60, observed_from=0, products=PRODUCTS, **how):
    made = delivery(rows_of(orders, events, products))
    return ingest(
        replace(made, shop=replace(made.shop, observed_from=at(observed_from), observed_until=at(until))), lake, **how
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A shop of sixty days with three snapshots; only copied."""
    lake = Lake(tmp_path_factory.mktemp("built") / "lake")
    deliver(lake, ORDERS, EVENTS)
    done = build_snapshots(lake)
    assert done.cutoffs == done.computed == STANDING
    return lake


@pytest.fixture
def lake(built, tmp_path):
    return Lake(shutil.copytree(built.folder, tmp_path / "lake"))


def rows_at(lake, cutoff, name=SNAPSHOTS):
    return pq.read_table(lake.folder / lake.parts(name)[part_key(cutoff)].file)


def rows_of_customers(lake, cutoff, *, but=()):
    rows = rows_at(lake, cutoff)
    return rows.filter(pa.compute.invert(pa.compute.is_in(rows["customer_id"], pa.array(sorted(but), pa.string()))))


def files_of(lake):
    """Return of every file of a snapshot when it was written, and its bytes."""
    files = [path for name in (SNAPSHOTS, VECTORS) for path in lake.path(name).iterdir()]
    return {str(path.relative_to(lake.folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def from_scratch(lake, folder):
    """Build the same cutoffs of the same facts where no snapshot stood before."""
    other = Lake(shutil.copytree(lake.folder, folder))
    other.drop_parts(SNAPSHOTS, other.parts(SNAPSHOTS))
    other.drop_parts(VECTORS, other.parts(VECTORS))
    assert build_snapshots(other, standing_cutoffs(lake)).computed == standing_cutoffs(lake)
    return other


def assert_same_rows(one, other, cutoffs, *, but_lifetime=False):
    """Compare the snapshots of two lakes bit for bit: the figures of a model only where it must be the same one."""
    assert snapshot_names(one) == snapshot_names(other)
    fitted = [name for name in snapshot_names(one) if isinstance(BY_NAME[name].measure, BuyTillYouDie)]
    for cutoff in cutoffs:
        left, right = rows_at(one, cutoff), rows_at(other, cutoff)
        assert left["customer_id"].equals(right["customer_id"])
        left, right = (table.drop_columns(fitted) for table in (left, right)) if but_lifetime else (left, right)
        assert [name for name in left.column_names if not left[name].equals(right[name])] == []


def assert_vectors_are_the_rows(lake):
    for cutoff in standing_cutoffs(lake):
        rows, names = rows_at(lake, cutoff), snapshot_names(lake)
        vectors = rows_at(lake, cutoff, VECTORS)
        matrix = np.column_stack([rows[name].to_numpy(zero_copy_only=False) for name in names])
        hashes, values = zip(*map(unpack, vectors[VECTOR].to_pylist()), strict=True)
        np.testing.assert_array_equal(np.stack(values), matrix)
        assert vectors["customer_id"].equals(rows["customer_id"])
        assert set(hashes) == {feature_hash(names)}


class TestWhatStands:
    def test_every_part_holds_the_customers_known_at_its_cutoff(self, built):
        for cutoff in STANDING:
            rows = rows_at(built, cutoff)
            known = {order.customer for order in ORDERS if order.at < cutoff}
            assert rows["customer_id"].to_pylist() == sorted(known)
            assert set(rows["cutoff"].to_pylist()) == {cutoff}

    def test_columns_are_the_features_of_the_shop(self, built):
        assert snapshot_names(built) == names_of(of_shop(built.shop().has))
        assert "category_count_30d" in snapshot_names(built)
        assert "return_count_90d" not in snapshot_names(built)

    def test_vectors_are_the_rows(self, built):
        assert_vectors_are_the_rows(built)

    def test_a_second_build_changes_no_file(self, lake):
        before = files_of(lake), (lake.folder / MANIFEST).read_bytes()
        done = build_snapshots(lake)
        assert (done.computed, done.touched, done.was_built) == ((), {}, False)
        assert (files_of(lake), (lake.folder / MANIFEST).read_bytes()) == before

    def test_the_same_delivery_again_changes_no_file(self, lake):
        before = files_of(lake)
        deliver(lake, ORDERS, EVENTS)
        assert not build_snapshots(lake).was_built
        assert files_of(lake) == before

    def test_the_order_of_cutoffs_and_how_they_come_does_not_matter(self, lake, tmp_path):
        other = Lake(shutil.copytree(lake.folder, tmp_path / "other"))
        for name in (SNAPSHOTS, VECTORS):
            other.drop_parts(name, other.parts(name))
        for cutoff in (LATE, EARLY, MIDDLE):
            build_snapshots(other, [cutoff])
        assert standing_cutoffs(other) == STANDING
        assert_same_rows(lake, other, STANDING)

    def test_what_was_known_earlier_leaves_nothing_in_the_lake(self, lake):
        before = files_of(lake)
        frame = snapshot_as_known(lake, LATE, known_at=EARLY)
        early = rows_at(lake, EARLY)
        assert frame["customer_id"].tolist() == early["customer_id"].to_pylist()
        assert frame["visit_count"].tolist() == early["visit_count"].to_pylist()
        assert files_of(lake) == before


class TestANewDay:
    def test_it_adds_one_part_and_leaves_all_others(self, lake, tmp_path):
        before = files_of(lake)
        deliver(lake, [Order(customer="c05", at=at(60, 10), id="new")], until=61)
        done = build_snapshots(lake)
        assert (done.computed, done.touched) == ((at(61),), {})
        assert done.cutoffs == (*STANDING, at(61))
        after = files_of(lake)
        assert {name: after[name] for name in before} == before
        assert set(after) - set(before) == {f"{name}/{part_key(at(61))}.parquet" for name in (SNAPSHOTS, VECTORS)}
        assert_same_rows(lake, from_scratch(lake, tmp_path / "scratch"), standing_cutoffs(lake))
        assert_vectors_are_the_rows(lake)

    def test_a_week_away_adds_the_last_midnight_only(self, lake):
        deliver(lake, ORDERS, EVENTS, until=67)
        assert next_cutoffs(lake) == (*STANDING, at(67))

    def test_a_step_fills_in(self, lake):
        assert next_cutoffs(lake, step_days=7) == (at(32), at(39), at(46), at(53), at(60))


# What comes to light after the snapshots stand (orders, events), and of whom it touches which of them.
LATE_ORDER = Order(customer="c03", id="late", at=at(20, 3))
RESTATED = replace(ORDERS[0], lines=(Line(product="cheese", net="77"),), received_at=at(50))
LATENESS = {
    "a late order": ([LATE_ORDER], [], {EARLY: {"c03"}, MIDDLE: {"c03"}, LATE: {"c03"}}),
    "of somebody new": ([replace(LATE_ORDER, customer="zoe", at=at(40))], [], {MIDDLE: {"zoe"}, LATE: {"zoe"}}),
    "a corrected order": ([RESTATED], [], {LATE: {"c00"}}),
    "an order that was somebody else's": ([replace(RESTATED, customer="c44")], [], {LATE: {"c00", "c44"}}),
    "a late event": ([], [*EVENTS, Event(customer="c07", at=at(33))], {MIDDLE: {"c07"}, LATE: {"c07"}}),
    "the same, received again": ([replace(ORDERS[0], received_at=at(55))], EVENTS, {}),
    "after all": ([replace(LATE_ORDER, received_at=at(60)), replace(RESTATED, received_at=at(61))], [], {}),
}


class TestLateFacts:
    @pytest.mark.parametrize(("orders", "events", "touched"), LATENESS.values(), ids=list(LATENESS))
    def test_they_touch_their_customers_and_no_others(self, built, lake, tmp_path, orders, events, touched):
        deliver(lake, orders, events)
        done = build_snapshots(lake)
        assert done.computed == ()
        assert done.touched == {cutoff: len(customers) for cutoff, customers in touched.items()}
        for cutoff in STANDING:
            others = [rows_of_customers(one, cutoff, but=touched.get(cutoff, ())) for one in (built, lake)]
            assert others[0].equals(others[1])
            assert rows_at(lake, cutoff).equals(rows_at(built, cutoff)) == (cutoff not in touched)
            untouched = [name for name in files_of(built) if part_key(cutoff) in name and cutoff not in touched]
            assert [name for name in untouched if files_of(lake)[name] != files_of(built)[name]] == []
        assert_same_rows(lake, from_scratch(lake, tmp_path / "scratch"), STANDING, but_lifetime=True)
        assert_vectors_are_the_rows(lake)
        assert not build_snapshots(lake).was_built

    def test_a_product_that_is_something_else_now_changes_nothing_older(self, lake, tmp_path):
        """Cheese becomes a gift while one order of it is corrected: of that one alone, from then on."""
        before = files_of(lake)
        bought = next(order for order in ORDERS if order.customer == "c20")
        gift = replace(next(product for product in PRODUCTS if product.id == "cheese"), category="gifts")
        deliver(lake, [], products=[gift])
        assert not build_snapshots(lake).was_built
        assert files_of(lake) == before
        deliver(lake, [replace(bought, lines=(*bought.lines, Line(product="milk")))], products=[gift], at=at(50))
        done = build_snapshots(lake)
        assert (done.computed, done.touched) == ((), {LATE: 1})
        assert_same_rows(lake, from_scratch(lake, tmp_path / "scratch"), STANDING, but_lifetime=True)

    def test_the_model_of_a_part_is_kept(self, lake):
        key = part_key(LATE)
        before = lake.parts(SNAPSHOTS)[key].made_from["lifetime"]
        assert set(before) == {"r", "alpha", "a", "b", "unit_days"}
        was = rows_of_customers(lake, LATE, but=["c03"])
        deliver(lake, [LATE_ORDER])
        build_snapshots(lake)
        assert lake.parts(SNAPSHOTS)[key].made_from["lifetime"] == before
        is_now = rows_of_customers(lake, LATE, but=["c03"])
        assert is_now["expected_order_count_30d"].equals(was["expected_order_count_30d"])

    def test_an_order_that_ends_takes_a_customer_with_it(self, lake, tmp_path):
        deliver(lake, [Order(customer="zoe", id="never", at=at(10))])
        build_snapshots(lake)
        assert "zoe" in rows_at(lake, MIDDLE)["customer_id"].to_pylist()
        deliver(lake, ORDERS, EVENTS, mode="replace", at=at(40))
        assert build_snapshots(lake).touched == {MIDDLE: 1, LATE: 1}
        assert "zoe" in rows_at(lake, EARLY)["customer_id"].to_pylist()
        assert "zoe" not in rows_at(lake, MIDDLE)["customer_id"].to_pylist()
        assert_same_rows(lake, from_scratch(lake, tmp_path / "scratch"), STANDING, but_lifetime=True)


class TestDefinitions:
    def test_a_shop_that_has_its_first_return_is_built_anew(self, lake, tmp_path):
        before = files_of(lake)
        sent_back = Order(customer="c00", id="c00-0/return", kind="return", at=at(59), lines=(Line().sent_back,))
        deliver(lake, [sent_back])
        done = build_snapshots(lake)
        assert (done.computed, done.touched) == (STANDING, {})
        assert set(done.names) > set(of_returns := {"return_count_90d", "returned_amount_365d", "sale_amount_90d"})
        assert of_returns <= set(snapshot_names(lake))
        assert all(files_of(lake)[name][1] != content for name, (_written, content) in before.items())
        assert_same_rows(lake, from_scratch(lake, tmp_path / "scratch"), STANDING)

    def test_a_record_that_reaches_further_back_is_no_longer_missing_a_year_ago(self, tmp_path):
        """A year before the cutoff was not observed; then older orders come in, of one customer."""
        lake, cutoff = Lake(tmp_path / "lake"), at(400)
        young = [Order(customer=name, at=at(day), id=f"{name}-{day}") for name in ("ann", "bob") for day in (50, 390)]
        deliver(lake, young, observed_from=45, until=450)
        build_snapshots(lake, [cutoff])
        assert rows_at(lake, cutoff)["order_count_year_ago_28d"].to_pylist() == [None, None]
        deliver(lake, [Order(customer="ann", at=at(38), id="old")], observed_from=0, until=450)
        build_snapshots(lake)
        assert rows_at(lake, cutoff)["order_count_year_ago_28d"].to_pylist() == [2, 1]
        assert_same_rows(lake, from_scratch(lake, tmp_path / "scratch"), [cutoff])


def test_an_unknown_engine_is_refused_where_nothing_has_to_be_computed(lake):
    with pytest.raises(UnknownName, match="no engine named 'zzz'"):
        build_snapshots(lake, engine="zzz")


class TestDamage:
    @pytest.mark.parametrize("name", [SNAPSHOTS, VECTORS])
    @pytest.mark.parametrize("damage", ["missing", "cut", "a bit"])
    def test_a_damaged_part_is_built_anew_and_the_others_are_left(self, lake, name, damage):
        before = files_of(lake)
        file = lake.parts(name)[part_key(MIDDLE)].file
        content = bytearray((lake.folder / file).read_bytes())
        content[len(content) // 2] ^= 1
        cut = bytes(content[: len(content) // 2])
        (lake.folder / file).write_bytes(cut if damage == "cut" else bytes(content))
        if damage == "missing":
            (lake.folder / file).unlink()
        done = build_snapshots(lake)
        assert (done.computed, done.touched) == ((MIDDLE,), {})
        after = files_of(lake)
        assert {n: c for n, (_t, c) in after.items()} == {n: c for n, (_t, c) in before.items()}
        assert [n for n in after if after[n] != before[n] and part_key(MIDDLE) not in n] == []


# Builds, and is killed when it comes to the second snapshot that has customers to be computed again.
KILLED = """
import os, signal, sys
from pathlib import Path
from facts.lake import Lake
from features.build import build_snapshots
steps = []
def on_step(said):
    steps.append(said)
    if len(steps) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
build_snapshots(Lake(Path(sys.argv[1])), on_step=on_step)
"""


class TestStoppedHalfWay:
    def test_a_build_that_was_killed_is_finished_by_the_next(self, lake, tmp_path):
        deliver(lake, [LATE_ORDER])
        whole = Lake(shutil.copytree(lake.folder, tmp_path / "whole"))
        build_snapshots(whole)
        before = files_of(lake)
        ran = subprocess.run([sys.executable, "-c", KILLED, str(lake.folder)], cwd=PROJECT, check=False, timeout=300)
        assert ran.returncode == -signal.SIGKILL
        done_before = {name for name, content in files_of(lake).items() if before.get(name) != content}
        assert done_before == {f"{name}/{part_key(EARLY)}.parquet" for name in (SNAPSHOTS, VECTORS)}
        assert build_snapshots(lake).touched == {MIDDLE: 1, LATE: 1}
        assert_same_rows(lake, whole, STANDING)
        assert {n: c for n, (_t, c) in files_of(lake).items()} == {n: c for n, (_t, c) in files_of(whole).items()}

    def test_a_file_that_no_manifest_names_counts_for_nothing_and_is_swept_up(self, lake):
        before = files_of(lake)
        stray = lake.path(SNAPSHOTS) / f"{part_key(at(50))}.parquet"
        shutil.copy(lake.folder / lake.parts(SNAPSHOTS)[part_key(EARLY)].file, stray)
        assert standing_cutoffs(lake) == STANDING
        deliver(lake, [], until=61)
        build_snapshots(lake)
        assert not stray.exists()
        assert {name: files_of(lake)[name] for name in before} == before


class TestCutoffs:
    def test_they_are_the_shops_own_midnights_across_a_change_of_clocks(self, built):
        shop = replace(built.shop(), timezone="America/New_York", observed_until=at(79, 15))
        assert default_cutoffs(shop)[-2:] == (at(65, 5), at(79, 4))  # clocks change on day 69, 2024-03-10

    def test_the_first_leaves_four_weeks(self, built):
        shop = replace(built.shop(), observed_until=at(28))
        assert default_cutoffs(shop) == (at(28),)
        with pytest.raises(GateFailed, match="days of history: needed 28, found 27"):
            default_cutoffs(replace(shop, observed_until=at(28) - timedelta(microseconds=1)))


def test_a_part_says_what_it_was_made_from(built):
    made_from = json.loads((built.folder / MANIFEST).read_text())["parts"][SNAPSHOTS][part_key(LATE)]["made_from"]
    assert set(made_from) == {"definitions", "commit", "lifetime"}
    assert made_from["commit"] == built.commit_count() == 1
