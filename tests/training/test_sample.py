"""A sample of customers: the same each time, about its share, all cutoffs of a customer together, every task alike."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import ibis
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facts.ingest import ingest, simulated
from facts.lake import Lake
from features.build import build_snapshots
from simulation.run import simulate
from training.known import customers_at
from training.sample import is_sampled, share_for

UNTIL = datetime(2025, 1, 1, tzinfo=UTC)
CUTOFFS = tuple(UNTIL - timedelta(days=days) for days in (60, 45, 30))


def _sampled(ids: list[str], share: float) -> set[str]:
    customers = ibis.memtable({"customer_id": ids}, schema={"customer_id": "string"})
    return set(customers.filter(is_sampled(customers.customer_id, share)).execute()["customer_id"])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("sample")
    simulate(customers=200, seed=5, days=200, output=folder / "shop", has_browsing=False)
    lake = Lake(folder / "lake")
    ingest(simulated.read(folder / "shop"), lake)
    build_snapshots(lake, CUTOFFS)
    return lake


@example(ids=["ann"], share=1.0)
@settings(max_examples=25, deadline=None)
@given(ids=st.lists(st.text(min_size=1).filter(str.isprintable), unique=True, max_size=20), share=st.floats(1e-6, 1))
def test_it_goes_by_the_id_alone(ids, share):
    numbers = {name: int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8], 16) for name in ids}
    assert _sampled(ids, share) == {name for name, number in numbers.items() if number < round(share * 16**8)}


@pytest.mark.parametrize("share", [0.002, 0.1, 0.5])
def test_it_is_about_its_share_and_among_those_of_a_larger_one(share):
    ids = [f"customer-{number}" for number in range(50_000)]
    taken = _sampled(ids, share)
    spread = (share * (1 - share) * len(ids)) ** 0.5
    assert abs(len(taken) - share * len(ids)) < 4 * spread
    assert taken < _sampled(ids, 2 * share - 1e-6)


def test_rows_are_counted_up_to_the_cutoff(lake):
    held = [len(pd.read_parquet(lake.folder / part.file)) for part in lake.parts("customer_snapshots").values()]
    assert share_for(lake, until=CUTOFFS[-1], rows=sum(held)) == 1
    assert share_for(lake, until=CUTOFFS[-1], rows=sum(held) // 2) == pytest.approx(0.5, abs=0.01)
    assert share_for(lake, until=CUTOFFS[1], rows=sum(held[:2])) == 1


def test_all_of_them_is_every_row_of_the_snapshots(lake):
    assert len(customers_at(lake, CUTOFFS)) == sum(part.rows for part in lake.parts("customer_snapshots").values())


def test_a_sample_is_of_customers_with_all_their_cutoffs(lake):
    whole, some = (
        customers_at(lake, CUTOFFS, share=share).sort_values(["cutoff", "customer_id"]) for share in (1, 0.3)
    )
    taken = _sampled(sorted(set(whole["customer_id"])), 0.3)
    assert 0 < len(taken) < 100
    expected = whole[whole["customer_id"].isin(taken)]
    pd.testing.assert_frame_equal(some.reset_index(drop=True), expected.reset_index(drop=True))
