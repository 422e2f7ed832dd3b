"""Optuna's search for a task's booster: the mean over several validation cutoffs decides.

One process with its own journal gives the same search each time, stopped or not. Several processes, or machines, do
not: what each asks depends on what the others have done by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from training.dataset import TrainingSet
from training.fitting import FREE, MONOTONE, FoldFit, FoldRows, Recipe, Rounds, fit_folds, search_direction
from training.means import Means
from training.splits import Fold, Splits
from training.tasks import TASKS, Task
from training.trials import Attempt, Budget, Questions, run_alone, run_together, trials_of
from training.windows import AS_RECORDED, STRETCHED, is_young
from training.workers import Workers

if TYPE_CHECKING:
    import optuna

NO_SEARCH = "no search: defaults"
DEFAULTS: Mapping[str, Any] = {
    "eta": 0.07,
    "max_depth": 4,
    "min_child_weight": 40.0,
    "subsample": 0.7,
    "colsample_bytree": 0.4,
    "lambda": 5.0,
    "recency": FREE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best parameters and tree counts, their value on every validation cutoff, and every trial."""

    params: Mapping[str, Any]
    rounds: Rounds
    value: float
    fold_values: tuple[float, ...]
    trials: pd.DataFrame
    direction: Literal["minimize", "maximize"]
    ended_by: str


def search(  # noqa: PLR0913 - what is searched, and with what
    task: Task,
    data: TrainingSet,
    splits: Splits,
    *,
    budget: Budget,
    seed: int,
    journal: Path,
    study_name: str,
    means: Means | None = None,
    on_trial: Callable[[int], None] = lambda _done: None,
) -> Found:
    """Search the parameters of one task; a budget of no trials keeps no study and takes the defaults.

    The defaults come first, then the defaults with one thing changed that is a matter of the shop: the objective, the
    sign of recency, the windows of a young record. Then the sampler asks.

    Parameters
    ----------
    journal
        The file of Optuna's journal; a study of the same name in it, or in the shared storage, is resumed.
    means
        One process of this machine by default.
    on_trial
        Called with the number of completed trials of the study.

    Raises
    ------
    DamagedFile
        The journal is none.
    StudyUnreachable
        The shared storage cannot be used.
    TrialFailed, WorkersDied
        A worker raised an error; all of them were killed.
    """
    means, direction = means or Means(), search_direction(task)
    choices = _choices(task, data)
    attempt = _attempts(task, data, splits, seed=seed, means=means)
    complete: list[optuna.trial.FrozenTrial] = []
    if budget.trials:
        questions = Questions(first=_first(choices), suggest=lambda trial: _suggest(trial, choices), seed=seed)
        studies = means.studies(journal)
        who: Literal["one alone", "several"] = "one alone" if means.workers == 1 and not means.storage else "several"
        with studies.study(study_name, direction=direction) as study, studies.turn(study_name, who=who):
            if who == "one alone":
                run_alone(study, questions, attempt, budget=budget, on_trial=on_trial)
            elif missing := max(0, budget.trials - len(trials_of(study, "COMPLETE"))):
                handed = (task.name, _unnamed(data), splits, seed, means)
                with Workers(min(means.workers, missing), _prepare, *handed) as workers:
                    run_together(study, questions, workers, studies=studies, budget=budget, on_trial=on_trial)
            complete = trials_of(study, "COMPLETE")
            if complete:
                params, told = study.best_trial.params, study.best_trial.user_attrs
    if not complete:
        params = _first(choices)[0]
        _, told = attempt(params)
    return Found(
        params=dict(params),
        rounds=told["rounds"],
        value=float(np.mean(told["values"])),
        fold_values=tuple(told["values"]),
        trials=trial_table(complete),
        direction=direction,
        ended_by=budget.ended_by(len(complete)) if budget.trials else NO_SEARCH,
    )


def fold_rows(data: TrainingSet, folds: Sequence[Fold]) -> list[FoldRows]:
    """Return the rows of folds."""
    return [FoldRows(data.at(fold.train), data.at([fold.validation])) for fold in folds]


def mean_rounds(fits: Sequence[FoldFit]) -> Rounds:
    """Return the mean trees of each booster over folds."""
    return {name: round(float(np.mean([fitted.rounds[name] for fitted in fits]))) for name in fits[0].rounds}


def _unnamed(data: TrainingSet) -> TrainingSet:
    """Leave the customers' names out: no fold needs them, and they are slow to hand over."""
    return TrainingSet(data.frame.drop(columns="customer_id"), data.features)


def _prepare(task_name: str, data: TrainingSet, splits: Splits, seed: int, means: Means) -> Attempt:
    """Return, in a worker, what tries parameters out; a task is told by its name, as its label is a function."""
    return _attempts(TASKS[task_name], data, splits, seed=seed, means=means)


def _attempts(task: Task, data: TrainingSet, splits: Splits, *, seed: int, means: Means) -> Attempt:
    """Return what tries parameters out: it gives the mean value over the folds, each fold's, and the mean trees."""
    folds = fold_rows(data, splits.folds)

    def attempt(params: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        recipe = Recipe(task=task, horizon_days=splits.horizon_days, params=params, seed=seed, means=means)
        fits = fit_folds(recipe, folds)
        values = [fitted.value for fitted in fits]
        return float(np.mean(values)), {"rounds": mean_rounds(fits), "values": values}

    return attempt


def _choices(task: Task, data: TrainingSet) -> Mapping[str, Sequence[str]]:
    """Return what is a matter of the shop, the default first."""
    choices: dict[str, Sequence[str]] = {"objective": task.objectives, "recency": (FREE, MONOTONE)}
    return choices | ({"windows": (STRETCHED, AS_RECORDED)} if is_young(data) else {})


def _first(choices: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    defaults = {**DEFAULTS, **{name: values[0] for name, values in choices.items()}}
    return [defaults, *({**defaults, name: value} for name, values in choices.items() for value in values[1:])]


def _suggest(trial: optuna.Trial, choices: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {
        "eta": trial.suggest_float("eta", 0.04, 0.2, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 6),
        "min_child_weight": trial.suggest_float("min_child_weight", 2.0, 200.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 0.9),
        "lambda": trial.suggest_float("lambda", 0.5, 50.0, log=True),
        **{name: trial.suggest_categorical(name, values) for name, values in choices.items()},
    }


def trial_table(complete: Sequence[optuna.trial.FrozenTrial]) -> pd.DataFrame:
    """Return a row per trial: number, value, state and its parameters."""
    rows = [
        {"number": number, "value": trial.value, "state": "COMPLETE", **trial.params}
        for number, trial in enumerate(complete)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["number", "value", "state"])
