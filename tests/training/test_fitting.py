"""Intervals that hold on held-out rows, windows of a young record, and the model that comes of a recipe."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalog import RECORD
from scoring.parts import INVERSE
from tests.builders import at
from training.dataset import TrainingSet
from training.fitting import FoldRows, Recipe, conformal_shifts, fit, fit_fold, fit_folds, held_out
from training.means import Means
from training.objectives import OBJECTIVES, QUANTILE_REGRESSION, QUANTILES_OF_DAYS
from training.search import DEFAULTS
from training.tasks import TASKS
from training.windows import AS_RECORDED, STRETCHED, is_young, windows

HORIZON_DAYS = 30
FEATURES = ("order_count_90d", "order_count_trend_90d", RECORD, "a")


def _rows(task, count, *, seed, record=365.0) -> TrainingSet:
    random = np.random.default_rng(seed)
    drive = random.normal(size=count)
    wait = np.exp(1.5 + drive + 0.5 * random.normal(size=count))
    label = {"days": np.minimum(wait, HORIZON_DAYS), "amount": np.where(drive < -1, 0.0, wait)}.get(
        task.kind, (drive + random.normal(size=count) > 0).astype(float)
    )
    frame = pd.DataFrame({name: np.float32(1.0) for name in FEATURES}, index=range(count)).assign(
        a=drive.astype(np.float32), cutoff=pd.Timestamp(at(1)), label=label
    )
    frame[RECORD] = np.float32(record)
    return TrainingSet(frame, FEATURES)


def _recipe(task, objective):
    params = {**DEFAULTS, "objective": objective}
    return Recipe(task=task, horizon_days=HORIZON_DAYS, params=params, seed=1, means=Means())


EVERY_OBJECTIVE = [
    pytest.param(task, name, id=f"{task.name}-{name}") for task in TASKS.values() for name in task.objectives
]


@pytest.mark.parametrize(("task", "name"), EVERY_OBJECTIVE)
class TestEveryObjective:
    def test_it_learns(self, task, name):
        fold = FoldRows(_rows(task, 800, seed=1), _rows(task, 400, seed=2))
        fitted = fit_fold(_recipe(task, name), fold)
        shuffled = fold.past.frame.assign(a=fold.past.frame["a"].sample(frac=1, random_state=1).to_numpy())
        blind = fit_fold(_recipe(task, name), FoldRows(TrainingSet(shuffled, FEATURES), fold.later))
        assert fitted.value < blind.value  # every search metric of a task is a loss

    def test_what_is_held_out_is_what_the_model_says(self, task, name):
        recipe, fold = _recipe(task, name), FoldRows(_rows(task, 600, seed=1), _rows(task, 200, seed=2))
        rounds = fit_fold(recipe, fold).rounds
        ((said, label),) = held_out(recipe, [fold], rounds)
        ((again, _),) = held_out(recipe, [fold], rounds)
        np.testing.assert_array_equal(label, fold.later.label)
        np.testing.assert_array_equal(said, again)
        assert len(said) == len(label)


def test_folds_beside_each_other_are_those_one_after_the_other(monkeypatch):
    monkeypatch.setattr("training.means.core_count", lambda: 3)
    task = TASKS["clv"]
    recipe, folds = (
        _recipe(task, "two-part"),
        [FoldRows(_rows(task, 300 * n, seed=n), _rows(task, 200, seed=9)) for n in (1, 2, 3)],
    )
    assert recipe.means.folds_at_once(len(folds)) == 3
    alone = [fit_fold(recipe, fold) for fold in folds]
    assert fit_folds(recipe, folds) == alone
    rounds = alone[0].rounds
    for (said, label), fold in zip(held_out(recipe, folds, rounds), folds, strict=True):
        ((once, _),) = held_out(recipe, [fold], rounds)
        np.testing.assert_array_equal(said, once)
        np.testing.assert_array_equal(label, fold.later.label)


def test_a_gpu_and_other_workers_leave_folds_one_after_the_other(monkeypatch):
    monkeypatch.setattr("training.means.core_count", lambda: 2)
    assert Means().folds_at_once(3) == 2
    assert Means().folds_at_once(1) == 1
    assert Means(workers=2).folds_at_once(3) == 1
    assert Means(device="cuda").folds_at_once(3) == 1


@pytest.mark.parametrize("name", ["survival:aft", QUANTILES_OF_DAYS])
def test_moved_margins_hold_on_the_rows_that_they_were_moved_by_and_on_others_like_them(name):
    task, objective = TASKS["next_order"], OBJECTIVES[name]
    recipe = _recipe(task, name)
    past, later, unseen = (_rows(task, count, seed=seed) for count, seed in ((1500, 1), (3000, 2), (3000, 3)))
    rounds = fit_fold(recipe, FoldRows(past, later)).rounds
    ((margins, label),) = held_out(recipe, [FoldRows(past, later)], rounds)
    ((others, truth),) = held_out(recipe, [FoldRows(past, unseen)], rounds)
    low, _, high = conformal_shifts(objective, margins, label)
    outer = np.broadcast_to(others, (len(truth), 3))[:, [0, 2]] + [low, high]
    shown = objective.margins_of(truth)
    assert 0.77 < np.mean((shown >= outer[:, 0]) & (shown <= outer[:, 1])) < 0.83


@pytest.mark.parametrize("name", TASKS["next_order"].objectives)
def test_where_most_never_come_back_those_who_do_are_told_apart(name):
    task = TASKS["next_order"]

    def mostly_away(seed: int) -> TrainingSet:
        rows = _rows(task, 2000, seed=seed)
        frame = rows.frame.assign(label=np.where(rows.frame["a"] < -1.0, rows.frame["label"], HORIZON_DAYS))
        return TrainingSet(frame, FEATURES)

    recipe, fold = _recipe(task, name), FoldRows(mostly_away(1), mostly_away(2))
    ((margins, label),) = held_out(recipe, [fold], fit_fold(recipe, fold).rounds)
    days = np.sort(INVERSE[OBJECTIVES[name].link](margins), axis=1)
    middle = days[:, days.shape[1] // 2]
    comes = fold.later.frame["a"].to_numpy() < -1.0
    assert 0.1 < comes.mean() < 0.2
    assert middle[comes].mean() < HORIZON_DAYS / 2 < middle[~comes].mean()
    assert np.median(np.abs(np.minimum(middle[comes], HORIZON_DAYS) - label[comes])) < HORIZON_DAYS / 10


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=12, max_size=60), st.floats(-3, 3))
def test_at_most_a_tenth_lies_beyond_each_end(labels, middle):
    objective, label = OBJECTIVES[QUANTILE_REGRESSION], np.array(labels)
    low, _, high = conformal_shifts(objective, np.full((len(label), 3), middle), label)
    shown = objective.margins_of(label)
    assert np.mean(shown < middle + low - 1e-9) <= 0.1
    assert np.mean(shown > middle + high + 1e-9) <= 0.1


def test_customers_who_never_come_back_are_not_dropped():
    label = np.array([0.5, 30.0, 12.0])
    bounds = OBJECTIVES["survival:aft"].labels(label, 30)
    np.testing.assert_allclose(bounds["label_lower_bound"], label)
    np.testing.assert_allclose(bounds["label_upper_bound"], [0.5, np.inf, 12.0])


class TestWindows:
    def test_counts_are_stretched_and_a_trend_by_both_its_windows(self):
        found = windows(FEATURES, STRETCHED)
        assert (found.record, found.columns) == (2, (0, 1))
        assert (found.window_days, found.over_days) == ((90.0, 90.0), (0.0, 365.0))

    def test_as_recorded_only_hides_the_record(self):
        assert windows(FEATURES, AS_RECORDED).columns == ()
        assert windows(("a", "b"), STRETCHED) is None

    def test_a_young_record_is_one_shorter_than_the_longest_window(self):
        task = TASKS["clv"]
        assert is_young(_rows(task, 10, seed=1, record=364.0))
        assert not is_young(_rows(task, 10, seed=1))

    def test_no_booster_sees_the_record(self):
        task = TASKS["repurchase"]
        data = _rows(task, 400, seed=1)
        told = data.frame.assign(**{RECORD: data.frame["label"].astype(np.float32) * 100 + 100})
        booster = fit(_recipe(task, "binary:logistic"), TrainingSet(told, FEATURES), {"rounds": 20}).main
        assert f"f{FEATURES.index(RECORD)}" not in booster.get_score()
