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
from numpy.typing import NDArray

from training.dataset import TrainingSet
from training.means import Means, core_count, thread_count
from training.metrics import METRICS
from training.splits import Splits
from training.tasks import TASKS, Task
from training.trials import Budget, Questions, run_alone, run_together, trials_of
from training.workers import Workers

if TYPE_CHECKING:
    import optuna
    import xgboost

MOST_ROUNDS = 500
PATIENCE_ROUNDS = 25
NO_SEARCH = "no search: defaults"
DEFAULTS: Mapping[str, Any] = {
    "eta": 0.05,
    "max_depth": 4,
    "min_child_weight": 40.0,
    "subsample": 0.7,
    "colsample_bytree": 0.4,
    "lambda": 5.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best parameters (tree count included), their out-of-time predictions, and every trial."""

    params: Mapping[str, Any]
    rounds: int
    value: float
    fold_values: tuple[float, ...]
    held_out: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]  # (predicted, actual) per fold
    trials: pd.DataFrame
    direction: Literal["minimize", "maximize"]
    ended_by: str


@dataclass(frozen=True, slots=True)
class _FoldData:
    train: xgboost.DMatrix
    validation: xgboost.DMatrix
    actual: NDArray[np.float64]


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
    means = means or Means()
    folds = [_fold_data(data, fold.train, fold.validation) for fold in splits.folds]
    direction: Literal["minimize", "maximize"] = "minimize"
    if METRICS[task.kind][task.search_metric].direction == "higher":
        direction = "maximize"
    params: Mapping[str, Any] = {**DEFAULTS, "objective": task.objectives[0]}
    complete: list[optuna.trial.FrozenTrial] = []
    if budget.trials:
        questions = Questions(first=params, suggest=lambda trial: _suggest(trial, task), seed=seed)
        studies = means.studies(journal)
        with studies.study(study_name, direction=direction) as study:
            if means.workers == 1 and not means.storage:
                attempt = _attempts(task, folds, seed=seed, device=means.device)
                run_alone(study, questions, attempt, budget=budget, on_trial=on_trial)
            elif missing := max(0, budget.trials - len(trials_of(study, "COMPLETE"))):
                handed = (task.name, _unnamed(data), splits, seed, means)
                with Workers(min(means.workers, missing), _prepare, *handed) as workers:
                    run_together(study, questions, workers, studies=studies, budget=budget, on_trial=on_trial)
            complete = trials_of(study, "COMPLETE")
            params = study.best_trial.params if complete else params
    fitted = [_fit_fold(task, fold, params, seed=seed, device=means.device) for fold in folds]
    values = tuple(_value(task, predicted, fold.actual) for (predicted, _), fold in zip(fitted, folds, strict=True))
    return Found(
        params=dict(params),
        rounds=round(float(np.mean([rounds for _, rounds in fitted]))),
        value=float(np.mean(values)),
        fold_values=values,
        held_out=tuple((predicted, fold.actual) for (predicted, _), fold in zip(fitted, folds, strict=True)),
        trials=_trial_table(complete),
        direction=direction,
        ended_by=budget.ended_by(len(complete)) if budget.trials else NO_SEARCH,
    )


def fit(
    data: TrainingSet, params: Mapping[str, Any], *, rounds: int, seed: int, device: str = "cpu"
) -> xgboost.Booster:
    """Fit a booster of a fixed number of trees; wherever it was fitted, it predicts on the CPU."""
    import xgboost

    matrix = xgboost.DMatrix(data.matrix, data.label)
    settings = _xgboost_params(params, rows=len(data.frame), seed=seed, device=device)
    booster = xgboost.train(settings, matrix, num_boost_round=rounds)
    booster.set_param({"device": "cpu"})
    return booster


def _fold_data(data: TrainingSet, train: Sequence[Any], validation: object, *, workers: int = 1) -> _FoldData:
    import xgboost

    past, later = data.at(train), data.at([validation])  # type: ignore[list-item]
    threads = core_count() // workers
    inner = xgboost.QuantileDMatrix(past.matrix, past.label, nthread=threads)
    outer = xgboost.QuantileDMatrix(later.matrix, later.label, ref=inner, nthread=threads)
    return _FoldData(inner, outer, later.label)


def _unnamed(data: TrainingSet) -> TrainingSet:
    """Leave the customers' names out: no fold needs them, and they are slow to hand over."""
    return TrainingSet(data.frame.drop(columns="customer_id"), data.features)


def _prepare(
    task_name: str, data: TrainingSet, splits: Splits, seed: int, means: Means
) -> Callable[[Mapping[str, Any]], tuple[float, list[int]]]:
    """Return, in a worker, what tries parameters out; a task is told by its name, as its label is a function."""
    folds = [_fold_data(data, fold.train, fold.validation, workers=means.workers) for fold in splits.folds]
    return _attempts(TASKS[task_name], folds, seed=seed, device=means.device, workers=means.workers)


def _attempts(
    task: Task, folds: Sequence[_FoldData], *, seed: int, device: str, workers: int = 1
) -> Callable[[Mapping[str, Any]], tuple[float, list[int]]]:
    """Return what tries parameters out: it gives the mean of the search's metric over the folds, and their trees."""

    def attempt(params: Mapping[str, Any]) -> tuple[float, list[int]]:
        fitted = [_fit_fold(task, fold, params, seed=seed, device=device, workers=workers) for fold in folds]
        values = [_value(task, predicted, fold.actual) for (predicted, _), fold in zip(fitted, folds, strict=True)]
        return float(np.mean(values)), [rounds for _, rounds in fitted]

    return attempt


def _suggest(trial: optuna.Trial, task: Task) -> dict[str, Any]:
    return {
        "eta": trial.suggest_float("eta", 0.03, 0.2, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 6),
        "min_child_weight": trial.suggest_float("min_child_weight", 2.0, 200.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 0.9),
        "lambda": trial.suggest_float("lambda", 0.5, 50.0, log=True),
        "objective": trial.suggest_categorical("objective", task.objectives),
    }


def _fit_fold(
    task: Task, fold: _FoldData, params: Mapping[str, Any], *, seed: int, device: str, workers: int = 1
) -> tuple[NDArray[np.float64], int]:
    """Fit with early stopping and return the held-out predictions of the best trees, and how many they are."""
    import xgboost

    def judge(predicted: NDArray[np.float32], _of: xgboost.DMatrix) -> tuple[str, float]:
        return task.search_metric, _value(task, predicted.astype(np.float64), fold.actual)

    is_higher_better = METRICS[task.kind][task.search_metric].direction == "higher"
    settings = _xgboost_params(params, rows=fold.train.num_row(), seed=seed, device=device, workers=workers)
    booster = xgboost.train(
        settings | {"disable_default_eval_metric": True},
        fold.train,
        num_boost_round=MOST_ROUNDS,
        evals=[(fold.validation, "validation")],
        custom_metric=judge,
        early_stopping_rounds=PATIENCE_ROUNDS,
        maximize=is_higher_better,
        verbose_eval=False,
    )
    rounds = booster.best_iteration + 1
    predicted = booster.predict(fold.validation, iteration_range=(0, rounds))
    return predicted.astype(np.float64), rounds


def _xgboost_params(
    params: Mapping[str, Any], *, rows: int, seed: int, device: str, workers: int = 1
) -> dict[str, Any]:
    threads = thread_count(rows, workers=workers)
    return {**params, "tree_method": "hist", "seed": seed, "nthread": threads, "device": device}


def _value(task: Task, predicted: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    metric = METRICS[task.kind][task.search_metric]
    value = float(metric.compute(actual, predicted, np.ones((1, len(actual))))[0])
    if not np.isnan(value):
        return value
    return -1.0 if metric.direction == "higher" else float("inf")  # all predictions equal: no order at all


def _trial_table(complete: Sequence[optuna.trial.FrozenTrial]) -> pd.DataFrame:
    rows = [
        {"number": number, "value": trial.value, "state": "COMPLETE", **trial.params}
        for number, trial in enumerate(complete)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["number", "value", "state"])
