"""What the project's models are held against: a record each, and one contract.

`fit(past)` learns from what was known at the cutoff and answers a function of rows, which gives one value a row in the
label's own unit. It is handed its own columns and no others, in training and in answering; the same past gives the same
answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from benchmarks.models import btyd
from benchmarks.models.histories import AGE, FREQUENCY, HISTORY, RECENCY
from benchmarks.models.stretch import Histories
from scoring.parts import Kind
from training.baselines import BASELINES
from training.fitting import Floats

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

Answer: TypeAlias = Callable[[pd.DataFrame], Floats]
THREADS, SEED = 2, 1
LEAST_LEAF = 20
KINDS: tuple[Kind, ...] = ("probability", "amount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What was known at a cutoff.

    Parameters
    ----------
    rows, label
        Rows of earlier cutoffs, and what came within `horizon_days` of each.
    known
        The histories (`HISTORY`) of every customer at the cutoff itself, without any label.
    asked_days
        How far ahead is asked: the horizon of the labels, or further.
    is_of_orders
        An amount is a number of orders, not money.
    is_of_absence
        A probability is that of no order.
    """

    rows: pd.DataFrame
    label: Floats
    known: pd.DataFrame
    kind: Kind
    horizon_days: int
    asked_days: int
    is_of_orders: bool = False
    is_of_absence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """One rival.

    Parameters
    ----------
    columns
        The columns it reads, of a kind of label and the shop's features.
    package
        What it needs besides the project's own packages.
    looks_any_distance
        It answers for `asked_days` itself; the others answer for the labels' horizon.
    """

    name: str
    said: str
    columns: Callable[[Kind, Sequence[str]], Sequence[str]]
    fit: Callable[[Past], Answer]
    kinds: tuple[Kind, ...] = KINDS
    package: str | None = None
    looks_any_distance: bool = False

    @property
    def is_here(self) -> bool:
        """Whether its package is installed."""
        return self.package is None or find_spec(self.package) is not None


def ask(rival: Rival, past: Past, rows: pd.DataFrame, features: Sequence[str]) -> Floats:
    """Fit a rival and return what it answers, handing it nothing but its own columns."""
    columns = list(rival.columns(past.kind, features))
    learned = [column for column in columns if column not in HISTORY]
    own = Past(**{**{name: getattr(past, name) for name in Past.__slots__}, "rows": past.rows[learned]})
    return rival.fit(own)(rows[columns])


def _history(_kind: Kind, _features: Sequence[str]) -> Sequence[str]:
    return HISTORY


def _every_feature(_kind: Kind, features: Sequence[str]) -> Sequence[str]:
    return features


def _of_baseline(kind: Kind, _features: Sequence[str], *, index: int) -> Sequence[str]:
    return BASELINES[kind][index].columns


def _baseline(past: Past, *, index: int) -> Answer:
    return BASELINES[past.kind][index].fit(past.rows, past.label)


def _learned(past: Past, *, made: Mapping[Kind, Callable[[], BaseEstimator]]) -> Answer:
    model = made[past.kind]().fit(past.rows, past.label)
    if past.kind == "probability":
        return lambda rows: np.asarray(model.predict_proba(rows)[:, 1], np.float64)
    return lambda rows: np.maximum(np.asarray(model.predict(rows), np.float64), 0.0)


def _forest(name: str) -> BaseEstimator:
    from sklearn import ensemble

    made: BaseEstimator = getattr(ensemble, name)(min_samples_leaf=LEAST_LEAF, n_jobs=THREADS, random_state=SEED)
    return made


def _lightgbm(name: str, **settings: str) -> BaseEstimator:
    import lightgbm

    repeatable = {"deterministic": True, "force_row_wise": True, "random_state": SEED, "n_jobs": THREADS}
    made: BaseEstimator = getattr(lightgbm, name)(verbose=-1, **repeatable, **settings)
    return made


def _catboost(name: str) -> BaseEstimator:
    import catboost

    quiet = {"logging_level": "Silent", "allow_writing_files": False}
    made: BaseEstimator = getattr(catboost, name)(random_seed=SEED, thread_count=THREADS, **quiet)
    return made


def _both(make: Callable[[str], BaseEstimator], stem: str) -> Mapping[Kind, Callable[[], BaseEstimator]]:
    return {"probability": partial(make, f"{stem}Classifier"), "amount": partial(make, f"{stem}Regressor")}


def _lifetimes(past: Past, *, fitter: btyd.Fitter) -> Answer:
    model, values = fitter(past.known), None
    if past.kind == "amount" and not past.is_of_orders:
        values = btyd.fit_values(past.known)

    def answer(rows: pd.DataFrame) -> Floats:
        if past.kind == "probability":
            said = model.any_order(rows, past.asked_days)
            return 1 - said if past.is_of_absence else said
        said = model.orders(rows, past.asked_days)
        return said if values is None else said * values(rows)

    return answer


def _own_bg_nbd(past: Past) -> Answer:
    params = Histories.fitted(past.known)

    def answer(rows: pd.DataFrame) -> Floats:
        histories = Histories(params, rows)
        if past.kind == "amount":
            return histories.orders(past.asked_days)
        said = histories.any_order(past.asked_days)
        return 1 - said if past.is_of_absence else said

    return answer


RECENCY_ALONE, BG_NBD = "recency alone", "BG/NBD"
_RFM = 2  # its place among the baselines
RIVALS: tuple[Rival, ...] = (
    Rival(
        name=RECENCY_ALONE,
        said="regression on the days since the last order (logistic; Tweedie for amounts)",
        columns=partial(_of_baseline, index=0),
        fit=partial(_baseline, index=0),
    ),
    Rival(
        name="RFM regression",
        said="regression on recency, frequency and money (logistic; Tweedie for amounts)",
        columns=partial(_of_baseline, index=_RFM),
        fit=partial(_baseline, index=_RFM),
    ),
    Rival(
        name="RFM forest",
        said=f"random forest on the same three columns, leaves of at least {LEAST_LEAF} rows",
        columns=partial(_of_baseline, index=_RFM),
        fit=partial(_learned, made=_both(_forest, "RandomForest")),
    ),
    Rival(
        name=BG_NBD,
        said="BG/NBD of the package lifetimes, for money times Gamma-Gamma",
        columns=_history,
        fit=partial(_lifetimes, fitter=btyd.fit_bg_nbd),
        package="lifetimes",
        looks_any_distance=True,
    ),
    Rival(
        name="Pareto/NBD",
        said="Pareto/NBD of the package lifetimes, for money times Gamma-Gamma",
        columns=_history,
        fit=partial(_lifetimes, fitter=btyd.fit_pareto_nbd),
        package="lifetimes",
        looks_any_distance=True,
    ),
    Rival(
        name="LightGBM",
        said="LightGBM with its default settings on all of this project's features",
        columns=_every_feature,
        fit=partial(_learned, made=_both(_lightgbm, "LGBM")),
        package="lightgbm",
    ),
    Rival(
        name="CatBoost",
        said="CatBoost with its default settings on all of this project's features",
        columns=_every_feature,
        fit=partial(_learned, made=_both(_catboost, "CatBoost")),
        package="catboost",
    ),
    Rival(
        name="LightGBM, absolute error",
        said="the same with its loss for absolute errors, by which amounts are judged here",
        columns=_every_feature,
        fit=partial(_learned, made={"amount": partial(_lightgbm, "LGBMRegressor", objective="mae")}),
        kinds=("amount",),
        package="lightgbm",
    ),
)
OWN_BG_NBD = Rival(
    name="BG/NBD as this project fits it",
    said="`features.bg_nbd`, whose figures are features of the model: no learning from labels",
    columns=lambda _kind, _features: (FREQUENCY, RECENCY, AGE),
    fit=_own_bg_nbd,
    looks_any_distance=True,
)
