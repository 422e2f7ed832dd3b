"""The boosters of one task, fitted: on a fold, stopped where they were best, or on all training rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from scoring.parts import INVERSE, QUANTILES, Floats, Rows, Windows
from scoring.trees import xgboost_margins
from training.baselines import RECENCY
from training.dataset import TrainingSet
from training.means import Means, thread_count
from training.metrics import METRICS, pinball_loss
from training.objectives import BUYS, OBJECTIVES, QUANTILE_REGRESSION, Objective
from training.tasks import Task
from training.windows import AS_RECORDED, windows

if TYPE_CHECKING:
    import xgboost

MOST_ROUNDS = 500
PATIENCE_ROUNDS = 25
FREE, MONOTONE = "free", "monotone"
_OURS = frozenset({"objective", "windows", "recency"})  # what is no parameter of XGBoost's

Rounds = Mapping[str, int]
Pairs = list[tuple[Floats, Floats]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How boosters are made, whatever the rows: what is predicted how far ahead, and with which parameters."""

    task: Task
    horizon_days: int
    params: Mapping[str, Any]
    seed: int
    means: Means

    @property
    def objective(self) -> Objective:
        """What the main booster learns."""
        return OBJECTIVES[self.params["objective"]]

    @property
    def of_quantiles(self) -> Recipe:
        """The same recipe for the quantiles of the label."""
        return replace(self, params={**self.params, "objective": QUANTILE_REGRESSION})

    @property
    def most(self) -> float:
        """The most that is predicted: days end with the horizon."""
        return float(self.horizon_days) if self.task.kind == "days" else np.inf

    def windows(self, data: TrainingSet) -> Windows | None:
        """Return what is done to the windows of a young shop's rows."""
        return windows(data.features, self.params.get("windows", AS_RECORDED))

    def rows(self, data: TrainingSet) -> Rows:
        """Return the rows of a training set as boosters see them."""
        treated = self.windows(data)
        return treated.whole(data.matrix) if treated else data.matrix

    def matrix(self, part: Objective, data: TrainingSet, *, ref: xgboost.DMatrix | None = None) -> xgboost.DMatrix:
        """Return rows and labels as XGBoost takes them; `ref` is the training matrix of a validation one."""
        import xgboost

        rows, label = self.rows(data), data.label
        if part.is_of_buyers:
            rows, label = rows[label > 0], label[label > 0]
        threads = thread_count(len(rows), workers=self.means.workers)
        return xgboost.QuantileDMatrix(rows, **part.labels(label, self.horizon_days), ref=ref, nthread=threads)

    def xgboost_params(self, part: Objective, data: TrainingSet) -> dict[str, Any]:
        """Return XGBoost's parameters: those that were found, the objective's own, and what follows from the rows."""
        found = {name: value for name, value in self.params.items() if name not in _OURS}
        if self.params.get("recency") == MONOTONE:
            signs = [self.task.recency_sign if name == RECENCY else 0 for name in data.features]
            found["monotone_constraints"] = f"({','.join(map(str, signs))})"
        own = {**part.xgboost, **part.own(data.label, self.horizon_days)}
        threads = thread_count(len(data.frame), workers=self.means.workers)
        machine = {"tree_method": "hist", "nthread": threads, "device": self.means.device}
        return {**found, **own, **machine, "seed": self.seed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosters:
    """What one fit makes: the booster of the label, and of a two-part objective that of there being any."""

    main: xgboost.Booster
    buys: xgboost.Booster | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFit:
    """How a fold went: the trees of each booster at its best, and the value there."""

    rounds: Rounds
    value: float


@dataclass(frozen=True, slots=True)
class FoldRows:
    """The past to learn from and later rows to be judged by; XGBoost's matrices are made once for each objective."""

    past: TrainingSet
    later: TrainingSet
    _made: dict[object, tuple[xgboost.DMatrix, xgboost.DMatrix]] = field(default_factory=dict)

    def matrices(self, recipe: Recipe, part: Objective) -> tuple[xgboost.DMatrix, xgboost.DMatrix]:
        """Return the matrices of past and later rows."""
        key = part.name, recipe.params.get("windows")
        if key not in self._made:
            past = recipe.matrix(part, self.past)
            self._made[key] = past, recipe.matrix(part, self.later, ref=past)
        return self._made[key]


def fit_fold(recipe: Recipe, fold: FoldRows) -> FoldFit:
    """Fit on a fold's past, each booster stopped where it was best on the later rows.

    Quantiles are judged by their mean pinball loss, moved so that they hold on these rows; all else by the task's
    search metric.
    """
    objective, label = recipe.objective, fold.later.label
    if objective.is_of_buyers:
        return _fit_two_parts(recipe, fold)
    if objective.is_of_quantiles:
        booster = _stopped(recipe, objective, fold, lambda said: _moved_loss(recipe, said, label))
    else:
        is_maximized = search_direction(recipe.task) == "maximize"
        booster = _stopped(
            recipe, objective, fold, lambda said: task_value(recipe.task, said, label), is_maximized=is_maximized
        )
    return FoldFit(rounds={"rounds": booster.best_iteration + 1}, value=float(booster.best_score))


def fit(recipe: Recipe, data: TrainingSet, rounds: Rounds) -> Boosters:
    """Fit boosters of fixed numbers of trees."""
    import xgboost

    def trained(part: Objective, count: int) -> xgboost.Booster:
        booster = xgboost.train(recipe.xgboost_params(part, data), recipe.matrix(part, data), num_boost_round=count)
        booster.set_param({"device": "cpu"})  # wherever it was fitted, it predicts there
        return booster

    buys = trained(BUYS, rounds["rounds_buys"]) if recipe.objective.is_of_buyers else None
    return Boosters(main=trained(recipe.objective, rounds["rounds"]), buys=buys)


def fit_folds(recipe: Recipe, folds: Sequence[FoldRows]) -> list[FoldFit]:
    """Fit on every fold, each stopped where it was best."""
    return _over(recipe, folds, fit_fold)


def held_out(recipe: Recipe, folds: Sequence[FoldRows], rounds: Rounds) -> Pairs:
    """Fit on the past of every fold; return what was said of its later rows, and their labels.

    What was said is (n,) labels, or of quantiles the (n, outputs) margins.
    """

    def said(recipe: Recipe, fold: FoldRows) -> tuple[Floats, Floats]:
        boosters = fit(recipe, fold.past, rounds)
        return _predict(recipe.objective, boosters, recipe.rows(fold.later)), fold.later.label

    return _over(recipe, folds, said)


def _over(recipe: Recipe, folds: Sequence[FoldRows], work: Callable[[Recipe, FoldRows], T]) -> list[T]:
    """Work on folds, in their order, several at once: two cores fit one booster in more than half the time of one.

    Few rows do not keep them busy, and quantiles of leaves are worked out on one.
    """
    beside = recipe.means.folds_at_once(len(folds))
    if beside == 1:
        return [work(recipe, fold) for fold in folds]
    shared = replace(recipe, means=replace(recipe.means, workers=recipe.means.workers * beside))
    with ThreadPoolExecutor(beside) as threads:
        # The last folds have the longest past: begun first, none of them is waited for alone.
        begun = [threads.submit(work, shared, fold) for fold in reversed(folds)]
        return [done.result() for done in reversed(begun)]


def conformal_shifts(objective: Objective, margins: Floats, label: Floats) -> tuple[float, float, float]:
    """Return what moves each margin so that its quantile held on these rows: a tenth below p10, a tenth above p90.

    The ends are rows themselves, one further out than a tenth, so that they hold for the next customer too.

    References
    ----------
    Romano, Patterson & Candès (2019), "Conformalized quantile regression".
    """
    count = len(label)
    apart = np.sort(objective.margins_of(label)[:, None] - np.broadcast_to(margins, (count, len(QUANTILES))), axis=0)
    lowest = max(int((count + 1) * QUANTILES[0]), 1) - 1
    highest = min(math.ceil((count + 1) * QUANTILES[2]), count) - 1
    low, middle, high = float(apart[lowest, 0]), float(np.median(apart[:, 1])), float(apart[highest, 2])
    return low, middle, high


def task_value(task: Task, predicted: Floats, actual: Floats) -> float:
    """Return a task's search metric; where all predictions are equal, and there is no order, the worst."""
    metric = METRICS[task.kind][task.search_metric]
    value = float(metric.compute(actual, predicted, np.ones((1, len(actual))))[0])
    if not np.isnan(value):
        return value
    return -1.0 if metric.direction == "higher" else float("inf")


def search_direction(task: Task) -> Literal["minimize", "maximize"]:
    """Return which way a search improves a task's value."""
    metric = METRICS[task.kind].get(task.search_metric)  # none for the loss of quantiles
    return "maximize" if metric and metric.direction == "higher" else "minimize"


def _predict(objective: Objective, boosters: Boosters, whole: Rows) -> Floats:
    if objective.is_of_quantiles:
        return xgboost_margins(boosters.main, whole)
    raw: Floats = boosters.main.inplace_predict(whole).astype(np.float64)
    if boosters.buys is not None:
        raw *= boosters.buys.inplace_predict(whole).astype(np.float64)
    return raw


def _fit_two_parts(recipe: Recipe, fold: FoldRows) -> FoldFit:
    label = fold.later.label
    has_any, amounts = (label > 0).astype(np.float64), label[label > 0]
    main = _stopped(recipe, recipe.objective, fold, lambda said: float(np.abs(said - amounts).mean()))
    log_loss = METRICS["probability"]["log_loss"]
    once = np.ones((1, len(label)))
    buys = _stopped(recipe, BUYS, fold, lambda said: float(log_loss.compute(has_any, said, once)[0]))
    best = Boosters(main=main[: main.best_iteration + 1], buys=buys[: buys.best_iteration + 1])
    said = _predict(recipe.objective, best, recipe.rows(fold.later))
    rounds = {"rounds": main.best_iteration + 1, "rounds_buys": buys.best_iteration + 1}
    return FoldFit(rounds=rounds, value=task_value(recipe.task, said, label))


def _stopped(
    recipe: Recipe, part: Objective, fold: FoldRows, judge: Callable[[Floats], float], *, is_maximized: bool = False
) -> xgboost.Booster:
    import xgboost

    past, later = fold.matrices(recipe, part)
    return xgboost.train(
        recipe.xgboost_params(part, fold.past) | {"disable_default_eval_metric": True},
        past,
        num_boost_round=MOST_ROUNDS,
        evals=[(later, "later")],
        custom_metric=lambda said, _of: ("value", judge(said.astype(np.float64))),
        early_stopping_rounds=PATIENCE_ROUNDS,
        maximize=is_maximized,
        verbose_eval=False,
    )


def _moved_loss(recipe: Recipe, said: Floats, label: Floats) -> float:
    objective = recipe.objective
    outputs = said.reshape(len(label), -1)
    # XGBoost undoes the logarithm of a survival model, and knows nothing of that of ours.
    margins = np.log(outputs) if objective.link == "log" else outputs
    moved = margins + np.array(conformal_shifts(objective, margins, label))
    return pinball_loss(label, np.clip(np.sort(INVERSE[objective.link](moved), axis=1), 0.0, recipe.most))
