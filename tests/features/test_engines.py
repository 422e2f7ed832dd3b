"""The same expression on DuckDB and on Spark, over the same lake: no feature of any customer differs."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facts.errors import UnknownName
from facts.ingest import ingest, simulated
from facts.lake import Lake
from features.build import build_snapshots
from features.engines import MASTER, SETTINGS, CannotStartEngine, open_engine
from features.snapshots import SNAPSHOTS, snapshot_names
from simulation.run import simulate

UNTIL = datetime(2025, 1, 1, tzinfo=UTC)
CUTOFFS = (UNTIL - timedelta(days=45), UNTIL)
TOLERANCE = 1e-9


def _has_java() -> bool:
    java = shutil.which("java", path=f"{os.environ.get('JAVA_HOME', '')}/bin:{os.environ['PATH']}")
    return java is not None and subprocess.run([java, "-version"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A simulated shop: returns, cancellations, campaigns, a second year, corrected orders, products told anew."""
    folder = tmp_path_factory.mktemp("engines")
    simulate(customers=150, seed=3, days=550, output=folder / "shop", has_browsing=False)
    lake = Lake(folder / "lake")
    delivery = simulated.read(folder / "shop")
    ingest(delivery, lake)
    some = delivery.tables["orders"].order_by("order_id").limit(40)
    changed = dict(delivery.tables) | {
        "orders": some.mutate(kind=some.kind.substitute({"sale": "cancelled"})),
        "order_lines": delivery.tables["order_lines"].semi_join(some, "order_id"),
        "products": delivery.tables["products"].mutate(category=ibis._.department, is_private_label=None),
    }
    ingest(type(delivery)(shop=delivery.shop, tables=changed), lake, at=UNTIL - timedelta(days=20), limit=1.0)
    return lake


def _built(lake: Lake, folder: Path, engine: str) -> list[pa.Table]:
    copy = Lake(shutil.copytree(lake.folder, folder / engine))
    built = build_snapshots(copy, CUTOFFS, engine=engine)
    assert built.computed == CUTOFFS
    return [pq.read_table(copy.folder / part.file) for part in copy.parts(SNAPSHOTS).values()]


@pytest.mark.skipif(not _has_java(), reason="Spark needs Java 17, and there is none on this machine")
def test_spark_says_what_duckdb_says(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    settings = tmp_path / "spark.conf"
    settings.write_text("# of this test\nspark.sql.shuffle.partitions 2\nspark.driver.memory 1g\n", encoding="utf-8")
    monkeypatch.setenv(MASTER, "local[2]")
    monkeypatch.setenv(SETTINGS, str(settings))
    theirs, ours = _built(lake, tmp_path, "spark"), _built(lake, tmp_path, "duckdb")
    names = snapshot_names(Lake(tmp_path / "duckdb"))
    assert len(names) >= 60
    for mine, other in zip(ours, theirs, strict=True):
        assert len(mine) > 100
        assert mine.schema == other.schema
        assert mine.select(["customer_id", "cutoff"]) == other.select(["customer_id", "cutoff"])
        for name in names:
            expected, found = (rows[name].to_numpy() for rows in (mine, other))
            np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


def test_the_shop_tests_what_engines_may_do_differently(lake: Lake) -> None:
    assert {"returns", "cancellations", "campaigns", "discounts", "second_year"} <= set(lake.shop().has)
    with lake.connect() as connection:
        orders = lake.table(connection, "orders")
        assert orders.superseded_at.count().execute() > 10
        assert lake.table(connection, "order_lines").product_version.nunique().execute() == 2


def test_an_unknown_engine_is_told_the_nearest(lake: Lake) -> None:
    with pytest.raises(UnknownName, match="no engine named 'sparc'; did you mean 'spark'"):
        open_engine("sparc", lake)


def test_settings_that_are_not_there_are_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    monkeypatch.setenv(SETTINGS, "nowhere.conf")
    with pytest.raises(CannotStartEngine, match=r"cannot read nowhere\.conf"), open_engine("spark", lake):
        pass
