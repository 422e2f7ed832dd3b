"""With what a search runs: how many processes, where its study is kept, on which device.

None of it is part of the plan: machines with other means may share one study.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from facts.errors import RegularsError, UnknownName, counted
from training.journal import Journal
from training.postgres import PostgresStudies
from training.trials import Studies

ROWS_PER_THREAD = 5_000
DEVICES = ("cpu", "cuda")


class MeansLacking(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """Something is missing on this machine that a search was told to run with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Processes of this machine, the address of a shared study (none: the journal in the home), XGBoost's device."""

    workers: int = 1
    storage: str | None = field(default=None, repr=False)  # it may hold a password
    device: str = "cpu"

    @property
    def storage_kind(self) -> Literal["journal file", "PostgreSQL"]:
        """Return what keeps the study, without its address."""
        return "PostgreSQL" if self.storage else "journal file"

    def folds_at_once(self, folds: int) -> int:
        """Return how many folds are fitted at once: with a core each, none waits for another."""
        return max(1, min(core_count() // self.workers, folds)) if self.device == "cpu" else 1

    def studies(self, journal: Path) -> Studies:
        """Return what opens studies: the shared database, or a journal file."""
        return PostgresStudies(self.storage) if self.storage else Journal(journal)


def require_means(means: Means) -> None:
    """Check everything that a search needs of this machine and of the database, before anything is written.

    Raises
    ------
    MeansLacking
        More workers than cores, or no GPU.
    UnknownName
        A device that there is not.
    StudyUnreachable
        The database cannot be used.
    """
    if means.device not in DEVICES:
        raise UnknownName("device", means.device, known=DEVICES)
    if means.workers > core_count():
        raise MeansLacking(
            f"{counted(means.workers, 'worker')} would share {counted(core_count(), 'core')}: each needs one; "
            f"give --workers {core_count()} or fewer"
        )
    if means.device == "cuda" and not _has_gpu():
        raise MeansLacking("XGBoost finds no GPU that it can use on this machine; leave out --device cuda")
    if means.storage:
        PostgresStudies(means.storage).require()


def core_count() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count(rows: int, *, workers: int = 1) -> int:
    """Return the threads that pay: on few rows they wait for each other longer than they work.

    All workers together have no more threads than there are cores.
    """
    return max(1, min(core_count() // workers, rows // ROWS_PER_THREAD))


def _has_gpu() -> bool:
    """Ask XGBoost itself: where it finds no GPU it trains on the CPU, and only its settings tell."""
    import numpy as np
    import xgboost

    with xgboost.config_context(verbosity=0):
        matrix = xgboost.DMatrix(np.zeros((2, 1), np.float32), np.array([0.0, 1.0]))
        booster = xgboost.train({"device": "cuda"}, matrix, num_boost_round=1)
        device: str = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    return device.startswith("cuda")
