"""Time-ordered splits: the laws that hold of any cutoffs and horizon."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from facts.errors import GateFailed
from tests.builders import DAY, EPOCH, at
from training.splits import LEAST_TRAINING_CUTOFFS, latest_test_cutoff, split

WEEKLY = [at(7 * week) for week in range(4, 52)]


@given(
    horizon=st.integers(1, 120),
    step=st.integers(1, 21),
    count=st.integers(3, 60),
    first=st.integers(1, 60),
)
def test_no_label_window_reaches_into_a_later_split(horizon, step, count, first):
    cutoffs = [at(first + step * i) for i in range(count)]
    test = cutoffs[-1]
    try:
        splits = split(cutoffs, horizon_days=horizon, test=test, observed_from=EPOCH)
    except GateFailed:
        assume(False)  # noqa: FBT003
    length = timedelta(days=horizon)
    assert all(cutoff + length <= splits.test for cutoff in splits.train)
    assert splits.folds == splits.calibration[-len(splits.folds) :]
    for fold in splits.calibration:
        assert len(fold.train) >= LEAST_TRAINING_CUTOFFS
        assert all(cutoff + length <= fold.validation for cutoff in fold.train)
        assert fold.validation + length <= splits.test
    assert [fold.validation for fold in splits.folds] == sorted(fold.validation for fold in splits.folds)
    used = {cutoff for fold in splits.calibration for cutoff in (*fold.train, fold.validation)}
    assert used | set(splits.train) | {splits.test} == set(splits.cutoffs) <= set(cutoffs)


def test_cut_off_windows_train_only_where_there_are_no_others():
    splits = split(WEEKLY, horizon_days=90, test=WEEKLY[-1], observed_from=EPOCH)
    assert all(cutoff - 90 * DAY >= EPOCH for cutoff in splits.train)
    short = split(WEEKLY[:20], horizon_days=60, test=WEEKLY[19], observed_from=EPOCH)
    assert len(short.train) >= LEAST_TRAINING_CUTOFFS


def test_the_test_cutoff_is_the_latest_whole_one():
    assert latest_test_cutoff(WEEKLY, horizon_days=30, observed_until=at(365)) == at(7 * 47)


def test_no_whole_window_and_too_short_a_history_name_the_gate():
    with pytest.raises(GateFailed, match="record to test a look 400 days ahead on"):
        latest_test_cutoff(WEEKLY, horizon_days=400, observed_until=at(365))
    with pytest.raises(GateFailed, match="history before the test on"):
        split(WEEKLY[:3], horizon_days=30, test=WEEKLY[2], observed_from=EPOCH)
