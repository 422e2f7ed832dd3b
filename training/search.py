"""Optuna's search for a task's booster: the mean over several validation cutoffs decides.

The sampler is seeded anew for every trial by the number of trials completed before it, so a search that was stopped and
resumed asks the same questions as one that ran through.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.dataset import TrainingSet
from training.journal import open_study
from training.metrics import METRICS
from training.splits import Splits
from training.tasks import Task

if TYPE_CHECKING:
    import optuna
    import xgboost

MOST_ROUNDS = 500
PATIENCE_ROUNDS = 25
RANDOM_TRIALS = 5
ROWS_PER_THREAD = 5_000
DEFAULTS: Mapping[str, Any] = {
    "eta": 0.05,
    "max_depth": 4,
    "min_child_weight": 40.0,
    "subsample": 0.7,
    "colsample_bytree": 0.4,
    "lambda": 5.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a search may cost: trials, and seconds after which no new trial starts.

    Only a search that its trials end is the same every time.
    """

    trials: int = 10
    timeout_seconds: float = 120.0


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


def search(
    task: Task,
    data: TrainingSet,
    splits: Splits,
    *,
    budget: Budget,
    seed: int,
    journal: Path,
    study_name: str,
    on_trial: Callable[[int], None] = lambda _done: None,
) -> Found:
    """Search the parameters of one task.

    Parameters
    ----------
    journal
        The file of Optuna's journal; a study of the same name in it is resumed.
    on_trial
        Called with the number of completed trials.
    """
    folds = [_fold_data(data, fold.train, fold.validation) for fold in splits.folds]
    direction: Literal["minimize", "maximize"] = "minimize"
    if METRICS[task.kind][task.search_metric].direction == "higher":
        direction = "maximize"
    study = open_study(journal, study_name, direction=direction)
    ended_by = _run_trials(study, task, folds, budget=budget, seed=seed, on_trial=on_trial)
    params = study.best_trial.params if _trials(study, "COMPLETE") else {**DEFAULTS, "objective": task.objectives[0]}
    fitted = [_fit_fold(task, fold, params, seed=seed) for fold in folds]
    values = tuple(_value(task, predicted, fold.actual) for (predicted, _), fold in zip(fitted, folds, strict=True))
    return Found(
        params=dict(params),
        rounds=round(float(np.mean([rounds for _, rounds in fitted]))),
        value=float(np.mean(values)),
        fold_values=values,
        held_out=tuple((predicted, fold.actual) for (predicted, _), fold in zip(fitted, folds, strict=True)),
        trials=_trial_table(study),
        direction=direction,
        ended_by=ended_by,
    )


def fit(data: TrainingSet, params: Mapping[str, Any], *, rounds: int, seed: int) -> xgboost.Booster:
    """Fit a booster of a fixed number of trees."""
    import xgboost

    matrix = xgboost.DMatrix(data.matrix, data.label)
    return xgboost.train(_xgboost_params(params, rows=len(data.frame), seed=seed), matrix, num_boost_round=rounds)


def _fold_data(data: TrainingSet, train: Sequence[Any], validation: object) -> _FoldData:
    import xgboost

    past, later = data.at(train), data.at([validation])  # type: ignore[list-item]
    inner = xgboost.QuantileDMatrix(past.matrix, past.label)
    return _FoldData(inner, xgboost.QuantileDMatrix(later.matrix, later.label, ref=inner), later.label)


def _run_trials(
    study: optuna.Study,
    task: Task,
    folds: Sequence[_FoldData],
    *,
    budget: Budget,
    seed: int,
    on_trial: Callable[[int], None],
) -> str:
    started = time.monotonic()
    done = len(_trials(study, "COMPLETE"))
    on_trial(done)
    for number in range(done, budget.trials):
        if time.monotonic() - started > budget.timeout_seconds:
            return f"time budget of {budget.timeout_seconds:g} s, after {number} of {budget.trials} trials"
        if number == 0 and not _trials(study, "WAITING"):  # one that a kill left running does not count
            study.enqueue_trial({**DEFAULTS, "objective": task.objectives[0]})
        study.sampler = _sampler(seed * 10_007 + number)
        trial = study.ask()
        params = _suggest(trial, task)
        fitted = [_fit_fold(task, fold, params, seed=seed) for fold in folds]
        trial.set_user_attr("rounds", [rounds for _, rounds in fitted])
        study.tell(trial, float(np.mean([_value(task, p, f.actual) for (p, _), f in zip(fitted, folds, strict=True)])))
        on_trial(number + 1)
    return f"budget of {budget.trials} trial{'' if budget.trials == 1 else 's'}"


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    import optuna

    # The liar would lie about trials that a kill left running, and a search that is resumed would ask otherwise.
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=False)


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


def _fit_fold(task: Task, fold: _FoldData, params: Mapping[str, Any], *, seed: int) -> tuple[NDArray[np.float64], int]:
    """Fit with early stopping and return the held-out predictions of the best trees, and how many they are."""
    import xgboost

    def judge(predicted: NDArray[np.float32], _of: xgboost.DMatrix) -> tuple[str, float]:
        return task.search_metric, _value(task, predicted.astype(np.float64), fold.actual)

    is_higher_better = METRICS[task.kind][task.search_metric].direction == "higher"
    booster = xgboost.train(
        _xgboost_params(params, rows=fold.train.num_row(), seed=seed) | {"disable_default_eval_metric": True},
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


def _xgboost_params(params: Mapping[str, Any], *, rows: int, seed: int) -> dict[str, Any]:
    return {**params, "tree_method": "hist", "seed": seed, "nthread": _threads(rows)}


def _threads(rows: int) -> int:
    """Return the threads that pay: on few rows they wait for each other longer than they work."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if rows < ROWS_PER_THREAD else min(cores, rows // ROWS_PER_THREAD)


def _value(task: Task, predicted: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    metric = METRICS[task.kind][task.search_metric]
    value = float(metric.compute(actual, predicted, np.ones((1, len(actual))))[0])
    if not np.isnan(value):
        return value
    return -1.0 if metric.direction == "higher" else float("inf")  # all predictions equal: no order at all


def _trials(study: optuna.Study, state: Literal["COMPLETE", "WAITING"]) -> list[optuna.trial.FrozenTrial]:
    import optuna

    trials: list[optuna.trial.FrozenTrial] = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState[state],))
    return trials


def _trial_table(study: optuna.Study) -> pd.DataFrame:
    rows = [
        {"number": number, "value": trial.value, "state": "COMPLETE", **trial.params}
        for number, trial in enumerate(_trials(study, "COMPLETE"))
    ]
    return pd.DataFrame(rows, columns=None if rows else ["number", "value", "state"])
