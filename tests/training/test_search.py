"""The search: a stopped one ends like one that ran through; the same seed gives the same model."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import xgboost

from facts.errors import DamagedFile
from facts.home import PROJECT
from tests.builders import EPOCH, at
from training.dataset import TrainingSet
from training.fitting import Recipe, fit
from training.journal import open_study
from training.means import Means, core_count
from training.search import search
from training.splits import split
from training.tasks import TASKS
from training.trials import Budget

CUTOFFS = [at(7 * week) for week in range(3, 12)]
SPLITS = split(CUTOFFS, horizon_days=7, test=CUTOFFS[-1], observed_from=EPOCH)


class Stopped(Exception):  # noqa: N818
    """A search that is killed from outside."""


@pytest.fixture(scope="module", params=["repurchase", "clv", "next_order"])
def task(request):
    return TASKS[request.param]


@pytest.fixture(scope="module")
def data(task) -> TrainingSet:
    return _data(task)


def _data(task) -> TrainingSet:
    random = np.random.default_rng(5)
    values = random.normal(size=(len(CUTOFFS) * 80, 4)).astype(np.float32)
    drive = values[:, 0] + 0.5 * values[:, 1] + random.normal(size=len(values))
    label = (drive > 0).astype(float) if task.kind == "probability" else np.minimum(np.exp(drive), 7.0)
    frame = pd.DataFrame(values, columns=list("abcd")).assign(
        customer_id="x", cutoff=pd.DatetimeIndex(np.repeat(CUTOFFS, 80)), label=label
    )
    return TrainingSet(frame, tuple("abcd"))


def _search(task, data, journal, *, trials, on_trial=lambda _done: None, timeout=60.0, means=None):
    return search(
        task, data, SPLITS, budget=Budget(trials=trials, timeout_seconds=timeout), seed=3, journal=journal,
        study_name="s", means=means, on_trial=on_trial,
    )  # fmt: skip


def test_a_stopped_search_ends_like_one_that_ran_through(task, data, tmp_path):
    whole = _search(task, data, tmp_path / "whole", trials=8)

    def stop(done: int) -> None:
        if done == 6:
            raise Stopped

    with pytest.raises(Stopped):
        _search(task, data, tmp_path / "parts", trials=8, on_trial=stop)
    resumed = _search(task, data, tmp_path / "parts", trials=8)
    pd.testing.assert_frame_equal(resumed.trials, whole.trials)
    assert (resumed.params, resumed.rounds, resumed.value) == (whole.params, whole.rounds, whole.value)


@pytest.mark.parametrize("done", [0, 6])
def test_one_stopped_within_a_trial_ends_like_one_that_ran_through(tmp_path, done):
    """The trial stands in the journal with its parameters and without an end, as a kill leaves it."""
    task = TASKS["repurchase"]
    data = _data(task)
    whole = _search(task, data, tmp_path / "whole", trials=done + 2)
    _search(task, data, tmp_path / "parts", trials=done)
    no_probability = TrainingSet(data.frame.assign(label=7.0), data.features)
    with pytest.raises(xgboost.core.XGBoostError, match="logistic loss"):
        _search(task, no_probability, tmp_path / "parts", trials=done + 1)
    resumed = _search(task, data, tmp_path / "parts", trials=done + 2)
    pd.testing.assert_frame_equal(resumed.trials, whole.trials)
    assert (resumed.params, resumed.rounds, resumed.value) == (whole.params, whole.rounds, whole.value)


def test_the_lock_of_a_killed_search_is_free(tmp_path):
    journal = tmp_path / "journal"
    program = "import sys; from pathlib import Path; from training.journal import _Lock\n"
    program += "lock = _Lock(Path(sys.argv[1])); print(lock.acquire(), flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(journal)]
    holder = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"True\n"
    holder.kill()
    holder.communicate()
    started = time.monotonic()
    open_study(journal, "s", direction="minimize")
    assert time.monotonic() - started < 20  # Optuna's own lock waits for thirty seconds


TOGETHER = 6


def _search_at_once(journal, workers, barrier, found):
    task = TASKS["repurchase"]
    data = _data(task)
    barrier.wait(60)
    found.put(_search(task, data, journal, trials=TOGETHER, means=Means(workers=workers)).trials)


def _searched_at_once(journal, *workers):
    """Return the trials that each of several processes, begun at one time, found at its end."""
    context = multiprocessing.get_context("spawn")
    barrier, found = context.Barrier(len(workers)), context.Queue()
    processes = [context.Process(target=_search_at_once, args=(journal, count, barrier, found)) for count in workers]
    for process in processes:
        process.start()
    tables = [found.get(timeout=180) for _ in processes]
    for process in processes:
        process.join(60)
    return tables


def _states(journal):
    return [trial.state.name for trial in open_study(journal, "s", direction="minimize").trials]


def test_two_that_search_at_once_end_like_one(tmp_path):
    task = TASKS["repurchase"]
    whole = _search(task, _data(task), tmp_path / "whole.journal", trials=TOGETHER)
    for trials in _searched_at_once(tmp_path / "j.journal", 1, 1):
        pd.testing.assert_frame_equal(trials, whole.trials)
    assert _states(tmp_path / "j.journal") == ["COMPLETE"] * TOGETHER


@pytest.mark.skipif(core_count() < 2, reason="two workers need two cores")
def test_one_alone_beside_one_with_workers_keeps_the_budget(tmp_path):
    one, two = _searched_at_once(tmp_path / "j.journal", 1, 2)
    assert _states(tmp_path / "j.journal") == ["COMPLETE"] * TOGETHER
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("name", ["junk", "line", "other"])
def test_a_damaged_journal_is_named(tmp_path, name):
    journal = tmp_path / "journal"
    open_study(journal, "s", direction="minimize").ask()
    first, *others = journal.read_bytes().splitlines(keepends=True)
    begin = {"junk": b"junk\n", "line": first[:40], "other": b"[1]\n"}[name]
    journal.write_bytes(begin + b"".join(others))
    with pytest.raises(DamagedFile, match="journal: it is no search journal; remove it and train again"):
        open_study(journal, "s", direction="minimize").ask()


def test_what_a_kill_left_of_a_line_is_passed_over_and_cut_off(tmp_path):
    journal = tmp_path / "journal"
    open_study(journal, "s", direction="minimize").ask()
    whole = journal.read_bytes()
    for cut in range(whole.rfind(b"\n", 0, -1) + 2, len(whole)):
        journal.write_bytes(whole[:cut])
        study = open_study(journal, "s", direction="minimize")
        before = len(study.trials)
        study.ask()
        assert len(open_study(journal, "s", direction="minimize").trials) == before + 1


def test_the_same_seed_gives_the_same_model(task, data, tmp_path):
    found = [_search(task, data, tmp_path / name, trials=3) for name in ("one", "two")]
    recipes = [Recipe(task=task, horizon_days=7, params=f.params, seed=3, means=Means()) for f in found]
    one, two = (fit(recipe, data.at(SPLITS.train), f.rounds) for recipe, f in zip(recipes, found, strict=True))
    assert one.main.save_raw("ubj") == two.main.save_raw("ubj")


def test_the_best_trial_is_the_best_of_the_table(task, data, tmp_path):
    found = _search(task, data, tmp_path / "j", trials=6)
    best = found.trials["value"].max() if found.direction == "maximize" else found.trials["value"].min()
    assert found.value == pytest.approx(best, abs=1e-12)
    assert len(found.fold_values) == len(SPLITS.folds)
    assert found.value == pytest.approx(np.mean(found.fold_values))


def test_no_trials_and_no_time_still_give_sound_parameters(task, data, tmp_path):
    none = _search(task, data, tmp_path / "none", trials=0)
    assert none.params["objective"] == task.objectives[0]
    assert none.trials.empty
    late = _search(task, data, tmp_path / "late", trials=5, timeout=0.0)
    assert "time budget" in late.ended_by
    assert len(late.trials) <= 1
