"""What one task had joined is the next one's, row for row as if joined anew, while the lake holds the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from facts.home import Home
from facts.ingest import ingest, simulated
from facts.lake import Lake
from features.build import build_snapshots
from features.store import apply_definitions
from simulation.run import simulate
from training.known import Known, customers_at
from training.tasks import TASKS

UNTIL = datetime(2025, 1, 1, tzinfo=UTC)
CUTOFFS = tuple(UNTIL - timedelta(days=days) for days in (60, 45, 30))
LATER = UNTIL - timedelta(days=15)


class Counted:
    """A store of Feast that counts the customers it was asked for."""

    def __init__(self, store) -> None:
        self.store, self.asked = store, []

    def get_feature_service(self, name):
        return self.store.get_feature_service(name)

    def get_historical_features(self, entity_df, features):
        self.asked.append(len(entity_df))
        return self.store.get_historical_features(entity_df=entity_df, features=features)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("known") / "home")
    simulate(customers=120, seed=5, days=200, output=home.folder.parent / "shop", has_browsing=False)
    ingest(simulated.read(home.folder.parent / "shop"), Lake(home.lake))
    build_snapshots(Lake(home.lake), CUTOFFS)
    apply_definitions(home)
    return home


@pytest.fixture
def store(home) -> Counted:
    return Counted(apply_definitions(home))


def _anew(store, home, task, cutoffs, **asked):
    return Known(store.store, Lake(home.lake)).at(TASKS[task], cutoffs, **asked)


def test_a_second_task_is_given_the_same_rows_and_joins_only_what_it_lacks(home, store):
    lake, known = Lake(home.lake), Known(store, Lake(home.lake))
    for task, cutoffs in (("repurchase", CUTOFFS[:2]), ("clv", CUTOFFS[1:]), ("churn", CUTOFFS[::2])):
        pd.testing.assert_frame_equal(known.at(TASKS[task], cutoffs), _anew(store, home, task, cutoffs))
    assert store.asked == [len(customers_at(lake, CUTOFFS[:2])), len(customers_at(lake, CUTOFFS[2:]))]


def test_rows_are_ordered_however_the_cutoffs_are(home, store):
    known = Known(store, Lake(home.lake))
    known.at(TASKS["churn"], CUTOFFS[2:])
    found = known.at(TASKS["churn"], CUTOFFS[::-1])
    pd.testing.assert_frame_equal(found, found.sort_values(["cutoff", "customer_id"], ignore_index=True))


def test_of_another_share_it_is_joined_anew(home, store):
    known = Known(store, Lake(home.lake))
    whole = known.at(TASKS["churn"], CUTOFFS)
    some = known.at(TASKS["churn"], CUTOFFS, share=0.4)
    assert 0 < len(some) < len(whole)
    pd.testing.assert_frame_equal(some, _anew(store, home, "churn", CUTOFFS, share=0.4))


def test_of_a_lake_that_changed_it_is_joined_anew(home, store):
    known = Known(store, Lake(home.lake))
    before = known.at(TASKS["churn"], CUTOFFS)
    build_snapshots(Lake(home.lake), [*CUTOFFS, LATER])
    pd.testing.assert_frame_equal(known.at(TASKS["churn"], CUTOFFS), before)
    assert len(store.asked) == 2
