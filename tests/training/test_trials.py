"""A study that several processes share: its budget is kept to the trial, and what was killed does not count."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from queue import Empty

import optuna
import pytest

from tests.postgres_server import postgres
from tests.training import attempts
from training.journal import Journal
from training.postgres import PostgresStudies
from training.trials import GRACE_SECONDS, Budget, Questions, Watch, run_together, trials_of
from training.workers import TrialFailed, Workers, WorkersDied

QUESTIONS = Questions(first=[{"x": 0.5}], suggest=lambda trial: {"x": trial.suggest_float("x", 0, 1)}, seed=1)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with postgres(tmp_path_factory.mktemp("postgres") / "data") as address:
        yield address


@pytest.fixture(params=["journal", "postgres"])
def studies(request, tmp_path):
    if request.param == "journal":
        return Journal(tmp_path / "s.journal")
    return PostgresStudies(request.getfixturevalue("url"))


@pytest.fixture
def name(request):
    return request.node.name


def _run(studies, name, *, trials, workers=2, once="", seconds=0.0, timeout=60.0, prepare=attempts.prepare_parabola):
    told = []
    with (
        studies.study(name, direction="minimize") as study,
        Workers(workers, prepare, *([once, seconds] if prepare is attempts.prepare_parabola else [])) as pool,
    ):
        budget = Budget(trials=trials, timeout_seconds=timeout)
        run_together(study, QUESTIONS, pool, studies=studies, budget=budget, on_trial=told.append)
    return told


def _states(studies, name):
    with studies.study(name, direction="minimize") as study:
        return sorted(trial.state.name for trial in study.trials)


def test_the_budget_is_of_the_study(studies, name):
    told = _run(studies, name, trials=5)
    assert told == sorted(set(told))
    assert told[-1] == 5
    assert _states(studies, name) == ["COMPLETE"] * 5
    _run(studies, name, trials=7)
    assert _states(studies, name) == ["COMPLETE"] * 7
    with studies.study(name, direction="minimize") as study:
        assert [trial.params for trial in study.trials].count({"x": 0.5}) == 1
        assert len({trial.params["x"] for trial in study.trials}) == 7


def test_the_trial_of_a_killed_worker_does_not_count(studies, name, tmp_path):
    _run(studies, name, trials=6, once=str(tmp_path / "once"))
    assert _states(studies, name) == ["COMPLETE"] * 6 + ["FAIL"]


def test_where_all_are_killed_the_trials_done_stay(studies, name, tmp_path):
    with pytest.raises(WorkersDied):
        _run(studies, name, trials=3, workers=1, once=str(tmp_path / "once"))
    assert _states(studies, name) == ["FAIL"]
    _run(studies, name, trials=3, workers=1, once=str(tmp_path / "once"))
    assert _states(studies, name) == ["COMPLETE"] * 3 + ["FAIL"]


def test_an_error_leaves_no_trial_running(studies, name):
    with pytest.raises(TrialFailed, match="TypeError"):
        _run(studies, name, trials=3, prepare=attempts.prepare_error)
    assert set(_states(studies, name)) == {"FAIL"}


def test_no_trial_begins_after_the_time(studies, name):
    _run(studies, name, trials=1000, seconds=0.2, timeout=1.0)
    states = _states(studies, name)
    assert set(states) <= {"COMPLETE"}
    assert len(states) < 1000


def _search(studies, name, trials):
    _run(studies, name, trials=trials, workers=1, seconds=0.3)


def test_two_processes_share_a_study_and_one_is_killed(studies, name):
    """The killed one leaves its trial running, as a machine that was switched off does."""
    context = multiprocessing.get_context("spawn")
    one, two = (context.Process(target=_search, args=(studies, name, 12)) for _ in range(2))
    one.start()
    two.start()
    with studies.study(name, direction="minimize") as study:
        deadline = time.monotonic() + 60
        while len(trials_of(study, "COMPLETE")) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        while len(trials_of(study, "RUNNING")) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        one.kill()
        two.join(120)
        assert two.exitcode == 0
        states = [trial.state for trial in study.get_trials()]
    assert states.count(optuna.trial.TrialState.COMPLETE) == 12
    assert states.count(optuna.trial.TrialState.RUNNING) == 0
    assert states.count(optuna.trial.TrialState.FAIL) <= 1


def test_one_is_dead_only_when_its_beats_stand_still():
    def running(number, beats=None):
        attributes = {} if beats is None else {"beat": beats}
        trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, user_attrs=attributes)
        trial.number = number
        return trial

    def dead(*trials, now):
        return [trial.number for trial in watch.dead(trials, now=now)]

    watch, later = Watch(), GRACE_SECONDS + 1
    assert dead(running(0), running(1, 5), now=0.0) == []
    assert dead(running(0), running(1, 6), now=later) == [0]
    assert dead(running(1, 6), running(2), now=later + GRACE_SECONDS - 1) == []
    assert dead(running(1, 6), running(2, 1), now=2 * later) == [1]


def test_a_lock_is_one_processes_at_a_time(studies, name):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_hold, args=(studies, name, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    (start_a, end_a), (start_b, end_b) = sorted(queue.get(timeout=60) for _ in processes)
    assert end_a <= start_b < end_b
    assert start_a < end_a
    for process in processes:
        process.join()


def _hold(studies, name, queue):
    with studies.claim(name):
        started = time.monotonic()
        time.sleep(0.3)
        queue.put((started, time.monotonic()))


@pytest.mark.parametrize(
    ("held", "asked", "study", "waits"),
    [
        ("one alone", "one alone", "s", True),
        ("one alone", "several", "s", True),
        ("several", "one alone", "s", True),
        ("several", "several", "s", False),
        ("one alone", "one alone", "another", False),
    ],
)
def test_who_waits_for_whom_until_it_is_killed(tmp_path, held, asked, study, waits):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    holder, other = (
        context.Process(target=_take_turn, args=(tmp_path / "s.journal", name, who, queue))
        for name, who in (("s", held), (study, asked))
    )
    holder.start()
    assert [queue.get(timeout=60) for _ in range(2)] == ["asks", ("s", held)]
    other.start()
    assert queue.get(timeout=60) == "asks"
    if waits:
        with pytest.raises(Empty):
            queue.get(timeout=1)
        holder.kill()
    assert queue.get(timeout=60) == (study, asked)
    for process in (holder, other):
        process.kill()
        process.join()


def _take_turn(journal, name, who, queue):
    queue.put("asks")
    with Journal(journal).turn(name, who=who):
        queue.put((name, who))
        time.sleep(600)


def test_a_journal_and_its_lock_lie_side_by_side(tmp_path):
    studies = Journal(tmp_path / "search" / "s.journal")
    with studies.study("s", direction="minimize"), studies.claim("s"):
        assert sorted(path.name for path in Path(tmp_path / "search").iterdir()) == ["s.journal", "s.lock"]
