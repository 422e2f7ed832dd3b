"""From what a search found to the model: fitted on all training rows, calibrated on held-out time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facts.lake import Shop
from features.inputs import input_hash
from scoring.model import TaskModel
from scoring.parts import Calibration, Quantiles
from scoring.potential import SPEND, fit_potential
from training.calibration import fit_calibration
from training.dataset import TrainingSet
from training.fitting import Boosters, FoldRows, Recipe, Rounds, conformal_shifts, fit, fit_folds, held_out
from training.means import Means
from training.plan import Plan
from training.search import Found, fold_rows, mean_rounds, search


def learn(
    plan: Plan,
    data: TrainingSet,
    shop: Shop,
    *,
    journal: Path,
    study_name: str,
    means: Means | None = None,
    on_trial: Callable[[int], None] = lambda _done: None,
    on_found: Callable[[], None] = lambda: None,
) -> tuple[Found, TaskModel]:
    """Search as a plan says, and fit the model with what was found: see `search` and `fit_final`."""
    means = means or Means()
    found = search(
        plan.task,
        data,
        plan.splits,
        budget=plan.budget,
        seed=plan.seed,
        journal=journal,
        study_name=study_name,
        means=means,
        on_trial=on_trial,
    )
    on_found()
    return found, fit_final(plan, data, found, shop, means=means)


def fit_final(plan: Plan, data: TrainingSet, found: Found, shop: Shop, *, means: Means) -> TaskModel:
    """Fit the model of a plan with the parameters that were found.

    A probability is calibrated, and an amount or days get their interval, by what boosters of the same parameters said
    of cutoffs that came after all that they had learned from.
    """
    task, splits = plan.task, plan.splits
    recipe = Recipe(task=task, horizon_days=plan.horizon.days, params=found.params, seed=plan.seed, means=means)
    train, folds = data.at(splits.train), fold_rows(data, splits.calibration)
    boosters = fit(recipe, train, found.rounds)
    calibration, quantiles = Calibration(method="none"), None
    if task.kind == "probability":
        calibration = fit_calibration(held_out(recipe, folds, found.rounds))
    elif task.kind == "days":
        quantiles = _quantiles(recipe, boosters, folds, found.rounds)
    else:
        interval = recipe.of_quantiles
        rounds = mean_rounds(fit_folds(interval, fold_rows(data, splits.folds)))
        quantiles = _quantiles(interval, fit(interval, train, rounds), folds, rounds)
    model = TaskModel(
        task=task.name,
        kind=task.kind,
        horizon_days=plan.horizon.days,
        features=train.features,
        feature_hash=input_hash(train.features),
        gate=task.gate,
        calibration=calibration,
        currency=shop.currency if task.kind == "amount" else None,
        windows=recipe.windows(train),
        booster=boosters.main,
        buys=boosters.buys,
        quantiles=quantiles,
    )
    if task.kind != "amount" or SPEND not in train.features:
        return model
    last = data.at([splits.train[-1]])
    spend = recipe.rows(last)[:, train.features.index(SPEND)]
    return replace(model, potential=fit_potential(SPEND, spend, model.score(last.matrix)))


def _quantiles(recipe: Recipe, boosters: Boosters, folds: Sequence[FoldRows], rounds: Rounds) -> Quantiles:
    said = held_out(recipe, folds, rounds)
    margins, label = (np.concatenate(part) for part in zip(*said, strict=True))
    shifts = conformal_shifts(recipe.objective, margins, label)
    return Quantiles(booster=boosters.main, link=recipe.objective.link, shifts=shifts)
