"""What is written: the same bytes for the same seed, the same customers however many, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.errors import DamagedFile, NotYet
from facts.ingest import simulated
from facts.segment import read_batch
from simulation.behaviour import World
from simulation.run import FACT_TABLES, make_chunk, simulate
from simulation.settings import CHUNK_CUSTOMERS, SETTINGS, CannotSimulate
from simulation.write import TableWriter
from tests.simulation.written import Shop


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write(folder: Path, **changes: object) -> Path:
    asked = {"customers": 40, "seed": 1, "days": 60, "output": folder, "has_json_lines": True} | changes
    return simulate(**asked).folder  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("one") / "shop")


class TestSame:
    def test_the_same_seed_gives_the_same_bytes(self, written: Path, tmp_path: Path):
        assert digests(write(tmp_path / "again")) == digests(written)

    def test_another_seed_gives_another_shop(self, written: Path, tmp_path: Path):
        other = digests(write(tmp_path / "other", seed=2))
        same = {name for name, digest in digests(written).items() if other[name] == digest}
        assert same == {"truth/settings.json"}

    @settings(max_examples=6, deadline=None)
    @given(st.integers(1, CHUNK_CUSTOMERS), st.integers(1, CHUNK_CUSTOMERS), st.integers(0, 5), st.integers(0, 3))
    def test_the_first_customers_are_the_same_however_many_follow(self, one: int, other: int, seed: int, chunk: int):
        few, many = sorted((one, other))
        world = World.of(seed=seed, days=90, settings=SETTINGS)
        short, long = make_chunk(world, chunk, few), make_chunk(world, chunk, many)
        mine = short.facts["customers"]["customer_id"].to_pylist()
        assert len(mine) == few
        for name, table in [*short.facts.items(), *short.truth.items()]:
            longer = (long.facts | long.truth if name == "customers" else {**long.truth, **long.facts})[name]
            if name != "customers":
                assert table.equals(_of(longer, mine)), name
        for kind in ("facts", "truth"):
            assert getattr(short, kind)["customers"].equals(_of(getattr(long, kind)["customers"], mine))

    def test_a_chunk_is_the_same_in_a_shop_of_one_chunk_and_of_many(self, tmp_path: Path):
        one, two = (write(tmp_path / str(n), customers=n, days=30) for n in (CHUNK_CUSTOMERS, CHUNK_CUSTOMERS + 5))
        for name in FACT_TABLES:
            short, long = (pq.read_table(folder / name) for folder in (one, two))
            assert long.slice(0, short.num_rows).equals(short), name
        assert pq.read_table(two / "customers").num_rows == CHUNK_CUSTOMERS + 5

    def test_without_browsing_all_else_is_the_same(self, written: Path, tmp_path: Path):
        quiet = write(tmp_path / "quiet", has_browsing=False)
        whole, less = digests(written), digests(quiet)
        changed = {name for name in whole if whole[name] != less[name]}
        assert changed == {"events/part-00000.parquet", "events.jsonl", "shop.json"}
        events, kept = (pq.read_table(folder / "events") for folder in (written, quiet))
        names = pa.array(["Order Completed", "Order Cancelled", "Order Refunded", "Campaign Received"])
        assert set(names.to_pylist()) <= set(kept["event"].to_pylist()) | {"Order Cancelled", "Order Refunded"}
        expected = events.filter(pc.is_in(events["message_id"], kept["message_id"]))
        assert kept.equals(expected)
        assert not pc.any(pc.match_substring_regex(kept["event"], "Viewed|Page|Added|Search|Checkout")).as_py()


def _of(table: pa.Table, customers: list[str]) -> pa.Table:
    if "customer_id" in table.column_names:
        return table.filter(pc.is_in(table["customer_id"], pa.array(customers)))
    owner = pc.list_element(pc.split_pattern(table["order_id"], "-"), 0)
    return table.filter(pc.is_in(owner, pa.array(customers)))


class TestFolder:
    def test_it_says_how_far_it_is(self, tmp_path: Path):
        steps: list[tuple[int, int]] = []
        write(tmp_path / "shop", customers=1500, on_step=lambda done, total: steps.append((done, total)))
        assert steps == [(1000, 1500), (1500, 1500)]

    def test_a_folder_that_holds_something_is_refused_and_left_alone(self, tmp_path: Path):
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(CannotSimulate, match="is not empty; choose a new folder"):
            write(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    def test_a_file_in_its_place_is_refused(self, tmp_path: Path):
        (tmp_path / "shop").write_text("mine")
        with pytest.raises(CannotSimulate, match="is not empty"):
            write(tmp_path / "shop")

    def test_an_empty_folder_is_taken(self, tmp_path: Path):
        (tmp_path / "shop").mkdir()
        assert (write(tmp_path / "shop") / "shop.json").is_file()

    def test_a_failure_leaves_nothing(self, tmp_path: Path):
        def fail(_done: int, _total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "shop", on_step=fail)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"customers": 0}, "customers must be at least 1, not 0"),
            ({"seed": -1}, "seed must be at least 0, not -1"),
            ({"days": 6}, "days must be at least 7, not 6"),
        ],
    )
    def test_numbers_out_of_range_are_refused(self, tmp_path: Path, changes: dict[str, int], sentence: str):
        with pytest.raises(CannotSimulate, match=sentence):
            write(tmp_path / "shop", **changes)
        assert not (tmp_path / "shop").exists()

    @pytest.mark.parametrize("days", [7, 21, 24, 400])
    def test_short_and_long_records_can_be_read(self, tmp_path: Path, days: int):
        folder = write(tmp_path / "shop", days=days)
        assert pq.read_table(folder / "orders").num_rows > 0
        assert pq.read_table(folder / "truth" / "customers.parquet").num_rows == 40

    def test_settings_stand_beside_the_truth(self, tmp_path: Path):
        changed = replace(SETTINGS, effect_scale=0.0)
        folder = write(tmp_path / "shop", settings=changed)
        assert json.loads((folder / "truth" / "settings.json").read_text())["effect_scale"] == 0.0
        assert set(pq.read_table(folder / "truth" / "customers.parquet")["campaign_factor"].to_pylist()) == {1.0}


class TestParts:
    def test_rows_are_grouped_and_parted_by_customers(self, tmp_path: Path):
        writer = TableWriter(tmp_path / "orders", 30_000)
        for number in range(70):
            writer.write(pa.table({"n": [number, number]}), customers=1000)
        writer.close()
        files = sorted(tmp_path.glob("orders/*"))
        assert [file.name for file in files] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
        assert [pq.read_metadata(file).num_row_groups for file in files] == [3, 3, 1]
        assert pq.read_table(tmp_path / "orders")["n"].to_pylist() == [n for n in range(70) for _twice in range(2)]


class TestJsonLines:
    def test_they_say_what_the_table_says_in_the_same_order(self, written: Path):
        rows = pq.read_table(written / "events").to_pylist()
        lines = [json.loads(line) for line in (written / "events.jsonl").read_text().splitlines()]
        assert len(lines) == len(rows) > 500
        for row, line in zip(rows, lines, strict=True):
            assert line["type"] == "track"
            assert (line["messageId"], line["userId"], line["event"]) == (
                row["message_id"], row["customer_id"], row["event"],
            )  # fmt: skip
            assert line["properties"] == json.loads(row["properties"])
            assert datetime.fromisoformat(line["timestamp"]) == row["occurred_at"]
            assert datetime.fromisoformat(line["receivedAt"]) == row["received_at"]
            assert line["context"]["library"]["name"] == "regulars-simulation"

    def test_the_time_zone_is_the_customers(self, written: Path):
        zones = {
            row["customer_id"]: json.loads(row["traits"])["timezone"]
            for row in pq.read_table(written / "customers").to_pylist()
        }
        lines = [json.loads(line) for line in (written / "events.jsonl").read_text().splitlines()]
        assert all(line["context"]["timezone"] == zones[line["userId"]] for line in lines)
        assert len(set(zones.values())) > 2

    def test_the_service_would_take_every_line(self, written: Path):
        for text in (written / "events.jsonl").read_text().splitlines():
            line = json.loads(text)
            batch = read_batch([line], received_at=datetime.fromisoformat(line["receivedAt"]), currency="EUR")
            assert not batch.rejected


class TestRead:
    def test_no_shop_is_a_sentence(self, tmp_path: Path):
        with pytest.raises(NotYet, match=r"there is no simulated shop in .*; run `regulars simulate"):
            simulated.read(tmp_path)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"is_simulated": true}', '{"is_simulated": false}'])
    def test_another_record_is_refused(self, tmp_path: Path, text: str):
        (tmp_path / "shop.json").write_text(text)
        with pytest.raises(DamagedFile, match=r"shop\.json"):
            simulated.read(tmp_path)

    def test_a_missing_or_broken_table_is_named(self, tmp_path: Path):
        folder = write(tmp_path / "shop", has_json_lines=False)
        part = folder / "orders" / "part-00000.parquet"
        part.write_bytes(part.read_bytes()[:-20])
        with pytest.raises(DamagedFile, match="orders: it is not Parquet"):
            simulated.read(folder)
        (folder / "products.parquet").unlink()
        with pytest.raises(DamagedFile, match=r"products\.parquet: it is missing"):
            simulated.read(folder)

    def test_it_is_read_lazily_by_any_engine(self, small_shop: Shop):
        import ibis

        tables = simulated.read(small_shop.folder).tables
        for _engine in range(2):
            connection = ibis.duckdb.connect()
            counted = connection.create_table("n", tables["orders"].count().as_table())
            assert int(counted.execute().iloc[0, 0]) == small_shop.simulated.rows["orders"]
