"""Processes that try out parameters for one parent: started anew, handed their data through a pipe, ended with it.

A fork would copy the locks of OpenMP's threads but not the threads; a pipe leaves nothing behind where a file would.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, Self

from facts.errors import RegularsError, counted

LEAST_SECONDS_TO_END = 5


class TrialFailed(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """What was tried out raised an error."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"a trial failed in a worker: {sentence}; --workers 1 shows where")


class WorkersDied(RegularsError):  # noqa: N818
    """No worker is left."""

    def __init__(self, count: int, exit_code: int | None) -> None:
        cause = f"the last one by signal {-exit_code}" if exit_code and exit_code < 0 else f"exit code {exit_code}"
        super().__init__(
            f"{counted(count, 'worker')} died, {cause} (9 is often a lack of memory); the trials that were done are "
            "kept: run the same command again, with fewer --workers"
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker made of its job."""

    job: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Lost:
    """A job whose worker died."""

    job: Any


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Any = None


class Workers:
    """Several processes, each with one job at a time.

    Parameters
    ----------
    count
        How many processes.
    prepare, arguments
        A function of a module and what it is called with, once in every process; what it returns is called with what
        `give` was told.
    """

    def __init__(self, count: int, prepare: Callable[..., Callable[[Any], Any]], *arguments: Any) -> None:  # noqa: ANN401
        self._count = count
        self._made_of = (prepare, arguments)
        self._alive: list[_Worker] = []
        self._exit_code: int | None = None

    def __enter__(self) -> Self:
        """Start the processes."""
        context = multiprocessing.get_context("spawn")
        try:
            for _ in range(self._count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs,), daemon=True)
                process.start()
                theirs.close()
                self._alive.append(_Worker(process, ours))
            payload = ForkingPickler.dumps(self._made_of)
            for worker in list(self._alive):
                self._send(worker, payload)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """End the processes, whatever they do."""
        for worker in self._alive:
            worker.process.terminate()
        for worker in self._alive:
            worker.process.join(LEAST_SECONDS_TO_END)
            worker.process.kill()
            worker.process.join()
            worker.connection.close()
        self._alive.clear()

    @property
    def idle(self) -> int:
        """Return how many processes have no job."""
        return sum(worker.job is None for worker in self._alive)

    @property
    def jobs(self) -> list[Any]:
        """Return the jobs that run."""
        return [worker.job for worker in self._alive if worker.job is not None]

    def give(self, job: object, told: object) -> None:
        """Hand a job, known by `job`, to an idle process."""
        worker = next(worker for worker in self._alive if worker.job is None)
        worker.job = job
        self._send(worker, ForkingPickler.dumps(told))

    def wait(self, seconds: float) -> list[Result | Lost]:
        """Return what was done by the time that something was, or that the seconds have passed.

        Raises
        ------
        TrialFailed
            A job raised an error.
        WorkersDied
            No process is left.
        """
        if not self._alive:
            raise WorkersDied(self._count, self._exit_code)
        ready = wait([worker.connection for worker in self._alive], timeout=seconds)
        return [
            answer for worker in list(self._alive) if worker.connection in ready for answer in self._receive(worker)
        ]

    def _receive(self, worker: _Worker) -> list[Result | Lost]:
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if kind == "failed":
            raise TrialFailed(value)
        job, worker.job = worker.job, None
        return [Result(job, value)]

    def _bury(self, worker: _Worker) -> list[Result | Lost]:
        worker.process.join(LEAST_SECONDS_TO_END)
        self._exit_code = worker.process.exitcode
        worker.connection.close()
        self._alive.remove(worker)
        return [] if worker.job is None else [Lost(worker.job)]

    @staticmethod
    def _send(worker: _Worker, payload: Any) -> None:  # noqa: ANN401
        try:
            worker.connection.send_bytes(payload)
        except OSError:  # it died; `wait` finds it
            return


def _work(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the terminal is the parent's, who ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        prepare, arguments = connection.recv()
        run = prepare(*arguments)
        while True:
            connection.send(("done", run(connection.recv())))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001 - the parent says it to the user
        said = str(error).strip().splitlines() or [""]
        connection.send(("failed", f"{type(error).__name__}: {said[0]}"))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])  # readable when the parent is gone, however it went
        os._exit(1)
