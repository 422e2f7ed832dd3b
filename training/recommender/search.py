"""Optuna's search for the ranking: learned from all nights but the last, held against the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.means import Means
from training.metrics.ranking import ranking_values
from training.recommender.evaluation import GATED_BY
from training.recommender.fitting import DEFAULTS, FIRST, fit_ranker
from training.recommender.questions import MOST_ASKED, Found, Night, RankingRows
from training.trials import Budget, Questions, run_alone, trials_of

if TYPE_CHECKING:
    import optuna
    import pandas as pd

ROUNDS = (80, 300)
MOST_SEARCHED = 2_500  # questions that a trial learns from


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRanking:
    """The best parameters, their value on the validation night, and every trial."""

    params: Mapping[str, Any]
    value: float
    trials: pd.DataFrame
    ended_by: str


def search(
    rows: RankingRows,
    validation: Night,
    *,
    budget: Budget,
    seed: int,
    journal: Path,
    study_name: str,
    on_trial: Callable[[int], None],
) -> FoundRanking:
    """Search the parameters of a ranking; those of `FIRST` come first. A study of the same name is resumed."""
    from training.search import NO_SEARCH, trial_table

    found, some = Found.of(validation, most=MOST_ASKED), rows.some(MOST_SEARCHED)
    wanted = validation.wanted[found.places]

    def attempt(params: Mapping[str, Any]) -> tuple[float, Mapping[str, Any]]:
        ranked = found.rank(fit_ranker(some, params, seed=seed), 10)
        values = ranking_values(ranked, wanted, lengths=(10,))[GATED_BY]
        return float(np.nanmean(values)), {}

    if not budget.trials:
        value = attempt(DEFAULTS)[0]
        return FoundRanking(params=DEFAULTS, value=value, trials=trial_table([]), ended_by=NO_SEARCH)
    questions = Questions(first=FIRST, suggest=_suggest, seed=seed)
    studies = Means().studies(journal)
    with studies.study(study_name, direction="maximize") as study, studies.turn(study_name, who="one alone"):
        run_alone(study, questions, attempt, budget=budget, on_trial=on_trial)
        complete = trials_of(study, "COMPLETE")
        params, value = (dict(study.best_trial.params), study.best_value) if complete else (DEFAULTS, float("nan"))
    return FoundRanking(
        params=params, value=float(value or 0.0), trials=trial_table(complete), ended_by=budget.ended_by(len(complete))
    )


def _suggest(trial: optuna.Trial) -> Mapping[str, Any]:
    return {
        "objective": trial.suggest_categorical("objective", ["rank:ndcg", "rank:pairwise", "binary:logistic"]),
        "eta": trial.suggest_float("eta", 0.03, 0.2, log=True),
        "max_depth": trial.suggest_int("max_depth", 4, 8),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 50.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "lambda": trial.suggest_float("lambda", 0.1, 20.0, log=True),
        "rounds": trial.suggest_int("rounds", *ROUNDS),
    }
