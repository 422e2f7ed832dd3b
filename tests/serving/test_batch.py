"""A file of scores: the same however many customers are in memory at once, and whole or not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import corner_shop as shop
import pandas as pd
import pyarrow.parquet as pq
import pytest

from facts.home import Home
from facts.lake import Lake
from features.store import TTL
from scoring.answers import MissingFeatures
from scoring.batch import score_lake
from scoring.model import TaskModel

AS_OF = shop.UNTIL + timedelta(hours=5)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_the_size_of_a_chunk_changes_nothing(
    home: Home, champions: dict[str, TaskModel], tmp_path: Path, ending: str
) -> None:
    read = {".parquet": pd.read_parquet, ".csv": pd.read_csv}[ending]
    whole, some = (tmp_path / f"{name}{ending}" for name in ("whole", "some"))
    counts = score_lake(Lake(home.lake), champions, whole, as_of=AS_OF, ttl=TTL)
    assert score_lake(Lake(home.lake), champions, some, as_of=AS_OF, ttl=TTL, chunk_rows=7) == counts
    pd.testing.assert_frame_equal(read(some), read(whole))
    assert counts == {"ok": len(shop.REGULAR_IDS), "insufficient_data": len(shop.LAPSED_IDS)}
    assert read(whole)["customer_id"].is_monotonic_increasing


def test_memory_follows_the_chunk(home: Home, champions: dict[str, TaskModel], tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    score_lake(Lake(home.lake), champions, output, as_of=AS_OF, ttl=TTL, chunk_rows=10)
    assert pq.ParquetFile(output).metadata.num_row_groups == 4


def test_what_stops_half_way_leaves_nothing(home: Home, champions: dict[str, TaskModel], tmp_path: Path) -> None:
    def stop(scored: int) -> None:
        if scored > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_lake(
            Lake(home.lake), champions, tmp_path / "s.parquet", as_of=AS_OF, ttl=TTL, chunk_rows=10, on_chunk=stop
        )
    other = replace(champions["churn"], features=(*champions["churn"].features, "unheard_of"))
    with pytest.raises(MissingFeatures):
        score_lake(Lake(home.lake), {"churn": other}, tmp_path / "s.parquet", as_of=AS_OF, ttl=TTL)
    assert list(tmp_path.iterdir()) == []
