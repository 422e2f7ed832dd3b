"""What any model has to beat: a single feature, the last period carried forward, and the classic RFM regression.

RFM is recency, frequency and monetary value. Every baseline is deterministic, takes its columns as they come (float32,
NaN where nothing is known, others beside them) and answers in the label's own unit, so it is measured like a model.

References
----------
Fader, Hardie & Lee (2005), "RFM and CLV: using iso-value curves for customer base analysis".
Wübben & Wangenheim (2008), "Instant customer base analysis: managerial heuristics often 'get it right'".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import Pipeline

    from training.metrics import Floats, Kind

    Predictor: TypeAlias = Callable[[pd.DataFrame], Floats]
    Fit: TypeAlias = Callable[[pd.DataFrame, NDArray[Any]], Predictor]

RECENCY, OWN_GAP = "order_recency_live_days", "visit_gap_mean_365d"
SPEND_WINDOW = re.compile(r"spend_amount_(?P<days>\d+)d")
# Between Poisson (1) and gamma (2): a mass at zero and a long right tail, in one distribution (Jørgensen 1987).
TWEEDIE_POWER = 1.5
# Enough to keep a coefficient finite when a feature separates the buyers, too little to move one that does not.
RIDGE_PENALTY = 1e-4


class MissingColumnError(ValueError):
    """A baseline's columns are not all among the features."""

    def __init__(self, baseline: str, *, missing: Iterable[str]) -> None:
        super().__init__(
            f"baseline {baseline!r} needs {', '.join(missing)}, which the features lack; "
            "add the columns to the training set, or leave this baseline out"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A simple prediction: `fit(features, label)` learns from `columns` alone and answers a function of features.

    That function gives one value a row: a probability, or an amount in the label's currency. `is_single_feature` says
    that its order is the order of its one column, up or down.
    """

    name: str
    description: str
    columns: tuple[str, ...]
    is_single_feature: bool
    fit: Fit


def baselines_for(kind: Kind, *, horizon_days: int, columns: Iterable[str]) -> tuple[Baseline, ...]:
    """Choose the baselines of a kind of label, given the columns at hand.

    Amounts get `last_spend_carried_forward` too, on the spend window nearest to the horizon, the longer of two that
    are equally near.

    Raises
    ------
    MissingColumnError : a baseline's columns are not all at hand.
    """
    at_hand = set(columns)
    baselines = BASELINES[kind]
    if kind == "amount":
        baselines = (*baselines, _carried_forward(at_hand, horizon_days=horizon_days))
    for baseline in baselines:
        if missing := [column for column in baseline.columns if column not in at_hand]:
            raise MissingColumnError(baseline.name, missing=missing)
    return baselines


def _carried_forward(columns: set[str], *, horizon_days: int) -> Baseline:
    name = "last_spend_carried_forward"
    windows = [int(match["days"]) for column in columns if (match := SPEND_WINDOW.fullmatch(column))]
    if not windows:
        raise MissingColumnError(name, missing=[f"spend_amount_{horizon_days}d"])
    window_days = min(windows, key=lambda days: (abs(days - horizon_days), -days))
    column = f"spend_amount_{window_days}d"
    return Baseline(
        name=name,
        description=f"The spend of the last {window_days} days, scaled to {horizon_days}; nothing is learned.",
        columns=(column,),
        is_single_feature=True,
        fit=partial(_fit_nothing, column=column, scale=horizon_days / window_days),
    )


def _fit_nothing(_features: pd.DataFrame, _label: NDArray[Any], *, column: str, scale: float) -> Predictor:
    return partial(_scaled, column=column, scale=scale)


def _scaled(features: pd.DataFrame, *, column: str, scale: float) -> Floats:
    """Carry a column forward; no known spend is none, and more returned than bought predicts nothing, not less."""
    spend = np.nan_to_num(features[column].to_numpy(np.float64), nan=0.0)
    amount: Floats = np.clip(spend, 0.0, None) * scale
    return amount


def _fit_logistic(features: pd.DataFrame, label: NDArray[Any], *, columns: tuple[str, ...]) -> Predictor:
    """Fit a logistic regression on log1p of the columns; a label of one class is answered by its rate."""
    from sklearn.linear_model import LogisticRegression

    label = np.asarray(label, np.float64)
    if label.min() == label.max():
        return partial(_constant, value=float(label[0]))
    strength = 1 / (RIDGE_PENALTY * len(label))
    pipeline = _pipeline(features, columns, LogisticRegression(C=strength, tol=1e-8, max_iter=1000))
    pipeline.fit(features[[*columns]], label)
    return partial(_probability, pipeline=pipeline, columns=columns)


def _fit_tweedie(features: pd.DataFrame, label: NDArray[Any], *, columns: tuple[str, ...]) -> Predictor:
    """Fit a Tweedie regression with a log link on log1p of the columns; a label of zeros is answered by zero.

    Of one column it is a power law, amount = a (1 + x)^b, which keeps the column's order (isotonic regression would
    pool it into steps). A negative label, more returned than bought, counts as zero, below which Tweedie knows nothing.
    """
    from sklearn.linear_model import TweedieRegressor

    amount = np.clip(np.asarray(label, np.float64), 0.0, None)
    scale = float(amount.mean())
    if scale == 0.0:
        return partial(_constant, value=0.0)
    regression = TweedieRegressor(power=TWEEDIE_POWER, link="log", alpha=RIDGE_PENALTY, tol=1e-8, max_iter=1000)
    pipeline = _pipeline(features, columns, regression)
    # In units of the mean, the penalty and the stopping rule do not depend on the currency.
    pipeline.fit(features[[*columns]], amount / scale)
    return partial(_amount, pipeline=pipeline, columns=columns, scale=scale)


def _fit_log_days(features: pd.DataFrame, label: NDArray[Any], *, columns: tuple[str, ...]) -> Predictor:
    """Fit the logarithm of the days by least squares on log1p of the columns; what it predicts is a median."""
    from sklearn.linear_model import Ridge

    pipeline = _pipeline(features, columns, Ridge(alpha=RIDGE_PENALTY))
    pipeline.fit(features[[*columns]], np.log1p(np.asarray(label, np.float64)))
    return partial(_days, pipeline=pipeline, columns=columns, most=float(np.max(label)))


def _pipeline(features: pd.DataFrame, columns: tuple[str, ...], regression: BaseEstimator) -> Pipeline:
    """Chain log1p, standardisation and a regression; who has no recency or gap counts as the longest in training."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    missing = {c: float(np.nan_to_num(features[c].max())) if c in (RECENCY, OWN_GAP) else 0.0 for c in columns}
    return make_pipeline(FunctionTransformer(partial(_log, missing=missing)), StandardScaler(), regression)


def _log(features: pd.DataFrame, *, missing: dict[str, float]) -> Floats:
    """Take log1p of each column, negative values as zero; float64, since in float32 neighbours would tie."""
    filled = features.astype(np.float64).fillna(missing).to_numpy()
    logs: Floats = np.log1p(np.clip(filled, 0.0, None))
    return logs


def _probability(features: pd.DataFrame, *, pipeline: Pipeline, columns: tuple[str, ...]) -> Floats:
    probability: Floats = pipeline.predict_proba(features[[*columns]])[:, 1]
    return probability


def _amount(features: pd.DataFrame, *, pipeline: Pipeline, columns: tuple[str, ...], scale: float) -> Floats:
    amount: Floats = pipeline.predict(features[[*columns]]) * scale
    return amount


def _days(features: pd.DataFrame, *, pipeline: Pipeline, columns: tuple[str, ...], most: float) -> Floats:
    days: Floats = np.clip(np.expm1(pipeline.predict(features[[*columns]])), 0.0, most)
    return days


def _constant(features: pd.DataFrame, *, value: float) -> Floats:
    return np.full(len(features), value)


def _logistic(name: str, description: str, *columns: str) -> Baseline:
    return Baseline(
        name=name,
        description=description,
        columns=columns,
        is_single_feature=len(columns) == 1,
        fit=partial(_fit_logistic, columns=columns),
    )


def _tweedie(name: str, description: str, *columns: str) -> Baseline:
    return Baseline(
        name=name,
        description=description,
        columns=columns,
        is_single_feature=len(columns) == 1,
        fit=partial(_fit_tweedie, columns=columns),
    )


def _log_days(name: str, description: str, *columns: str) -> Baseline:
    return Baseline(
        name=name,
        description=description,
        columns=columns,
        is_single_feature=len(columns) == 1,
        fit=partial(_fit_log_days, columns=columns),
    )


_RFM = (RECENCY, "order_count_365d", "spend_amount_365d")

# Without `last_spend_carried_forward`, whose column depends on the horizon: `baselines_for` adds it.
BASELINES: dict[Kind, tuple[Baseline, ...]] = {
    "probability": (
        _logistic("recency_alone", "Logistic regression on the days since the last order.", RECENCY),
        _logistic("order_count_alone", "Logistic regression on the orders of the last 30 days.", "order_count_30d"),
        _logistic("rfm_logistic", "Logistic regression on recency, and a year's orders and spend.", *_RFM),
    ),
    "amount": (
        _tweedie("recency_alone", "Power law in the days since the last order.", RECENCY),
        _tweedie("order_count_alone", "Power law in the orders of the last 30 days.", "order_count_30d"),
        _tweedie("rfm_regression", "Tweedie regression on recency, and a year's orders and spend.", *_RFM),
    ),
    "days": (
        _log_days("recency_alone", "Power law in the days since the last order.", RECENCY),
        _log_days("own_gap_alone", "Power law in the own mean gap between visits.", OWN_GAP),
        _log_days("rfm_regression", "Log-linear regression on recency, and a year's orders and spend.", *_RFM),
    ),
}
