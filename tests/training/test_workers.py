"""Processes that try out parameters: every job is answered or lost, errors are sentences, none outlives its parent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest

from facts.home import PROJECT
from tests.training import attempts
from training.means import Means, MeansLacking, core_count, require_means, thread_count
from training.workers import Lost, Result, TrialFailed, Workers, WorkersDied


def _answers(workers: Workers, count: int) -> list[Result | Lost]:
    found: list[Result | Lost] = []
    while len(found) < count:
        found += workers.wait(60)
    return found


def test_every_job_is_answered_once():
    with Workers(2, attempts.prepare_sum, 100) as workers:
        jobs, found = list(range(7)), []
        while jobs or workers.jobs:
            while jobs and workers.idle:
                workers.give(("job", jobs[-1]), jobs.pop())
            found += workers.wait(60)
    assert sorted((answer.job[1], answer.value) for answer in found) == [(n, 100 + n) for n in range(7)]


def test_an_error_in_a_worker_is_a_sentence():
    with Workers(1, attempts.prepare_error) as workers:
        workers.give("job", 0)
        with pytest.raises(TrialFailed, match=r"^a trial failed in a worker: ZeroDivisionError: .*; --workers 1 shows"):
            _answers(workers, 1)
    with Workers(1, attempts.prepare_broken) as workers:
        workers.give("job", 0)
        with pytest.raises(TrialFailed, match=r"worker: ValueError: no folds; --workers 1"):
            _answers(workers, 1)


def test_the_job_of_a_killed_worker_is_lost_and_the_others_go_on():
    with Workers(2, attempts.prepare_killed, 0) as workers:
        workers.give("killed", -1)
        workers.give("whole", 1)
        found = _answers(workers, 2)
        assert sorted(found, key=lambda answer: answer.job) == [Lost("killed"), Result("whole", 1)]
        assert workers.idle == 1
        workers.give("last", -1)
        assert _answers(workers, 1) == [Lost("last")]
        with pytest.raises(
            WorkersDied, match=r"2 workers died, the last one by signal 9 .* run the same command again"
        ):
            workers.wait(60)


def test_workers_end_when_they_are_no_longer_needed():
    with Workers(2, attempts.prepare_sleep) as workers:
        workers.give("long", 600.0)
        processes = [psutil.Process(worker.process.pid) for worker in workers._alive]
        started = time.monotonic()
    assert time.monotonic() - started < 30
    assert not any(process.is_running() for process in processes)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_workers_end_with_their_parent(how):
    command = [sys.executable, "-m", "tests.training.attempts"]
    parent = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.send_signal(how)
    parent.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(_runs(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_runs(worker) for worker in workers)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("rows", [0, 4_999, 60_000, 10**7])
def test_workers_have_no_more_threads_than_there_are_cores(rows):
    for workers in range(1, core_count() + 1):
        assert thread_count(rows, workers=workers) >= 1
        assert workers * thread_count(rows, workers=workers) <= core_count()


def test_more_workers_than_cores_are_refused():
    require_means(Means(workers=core_count()))
    with pytest.raises(MeansLacking, match=f"give --workers {core_count()} or fewer"):
        require_means(Means(workers=core_count() + 1))
