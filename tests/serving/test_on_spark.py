"""Scores on Spark are those of one machine, to the last bit, live events included."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import corner_shop as shop
import pyarrow.parquet as pq
import pytest

from facts.drain import drain
from facts.event_log import open_event_log
from facts.home import Home
from facts.lake import Lake
from facts.segment import read_batch
from features.engines import MASTER
from features.store import TTL
from scoring.batch import score_lake
from scoring.model import TaskModel
from scoring.model_files import MODEL_FILE, write_model
from scoring.on_spark import ModelFiles, SparkFailed, score_on_spark

AS_OF = shop.UNTIL + timedelta(hours=5)


def _has_java() -> bool:
    java = shutil.which("java")
    return java is not None and subprocess.run([java, "-version"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _has_java(), reason="Spark needs Java 17, and there is none on this machine")


@pytest.fixture
def lake(stock: Home, tmp_path: Path) -> Lake:
    """The shop a few hours later: somebody bought, somebody looked around."""
    home = Home(shutil.copytree(stock.folder, tmp_path / "home"))
    log = open_event_log(home)
    sent = [
        _told(shop.REGULAR_IDS[3], "Order Completed", {"order_id": "live-1", "revenue": 90.5}),
        _told(shop.REGULAR_IDS[4], "Product Viewed", {"product_id": "product-1"}),
    ]
    at = shop.UNTIL + timedelta(hours=2)
    log.append(read_batch(sent, received_at=at, currency="EUR").messages, received_at=at)
    drain(log, Lake(home.lake), AS_OF)
    log.close()
    return Lake(home.lake)


@pytest.fixture
def files(champions: dict[str, TaskModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ModelFiles]:
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    monkeypatch.setenv(MASTER, "local[2]")
    for task, model in champions.items():
        write_model(model, tmp_path / task)
    return {task: ModelFiles(folder=tmp_path / task, version=model.version) for task, model in champions.items()}


def test_scores_are_those_of_one_machine(
    lake: Lake, champions: dict[str, TaskModel], files: dict[str, ModelFiles], tmp_path: Path
) -> None:
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    counts = score_lake(lake, champions, here, as_of=AS_OF, ttl=TTL)
    assert score_on_spark(lake, files, there, as_of=AS_OF, ttl=TTL) == counts
    assert pq.read_table(there).equals(pq.read_table(here))
    assert pq.ParquetFile(there).metadata.num_row_groups > 1  # several partitions had customers
    assert not list(tmp_path.glob(".*"))


def test_what_fails_in_an_executor_is_one_sentence(lake: Lake, files: dict[str, ModelFiles], tmp_path: Path) -> None:
    path = files["churn"].folder / MODEL_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"horizon_days": 1}))
    with pytest.raises(SparkFailed, match=r"damaged model file .*train again") as failed:
        score_on_spark(lake, files, tmp_path / "scores.parquet", as_of=AS_OF, ttl=TTL)
    assert "\n" not in str(failed.value)
    assert not list(tmp_path.glob("*.parquet")) + list(tmp_path.glob(".*"))


def _told(who: str, event: str, properties: dict[str, object]) -> dict[str, object]:
    at = (shop.UNTIL + timedelta(hours=1)).isoformat()
    return {
        "type": "track", "messageId": uuid4().hex, "userId": who, "event": event, "properties": properties,
        "timestamp": at,
    }  # fmt: skip
