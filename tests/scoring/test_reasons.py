"""Reasons: the strongest first, and the sum reconciles with the score, of every kind of model."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost

from features.inputs import input_hash
from scoring.model import TaskModel
from scoring.parts import QUANTILES, Calibration, Gate, Quantiles
from scoring.reasons import explain

FEATURES = ("order_count_90d", "order_count_30d", "spend_amount_90d", "order_recency_live_days", "of_its_own")
KINDS = ("probability", "amount", "two parts", "days", "quantiles of days")


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(5)
    values = np.abs(rng.normal(size=(400, len(FEATURES))) * 10).round().astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    return values


@pytest.fixture(scope="module", params=KINDS)
def model(request, rows) -> TaskModel:
    amounts = np.exp(np.nan_to_num(rows[:, 0]) / 10 - np.nan_to_num(rows[:, 3]) / 10).astype(np.float32)

    def booster(objective: str, **labels: np.ndarray) -> xgboost.Booster:
        params = (
            {"objective": objective, "quantile_alpha": QUANTILES}
            if "quantile" in objective
            else {"objective": objective}
        )
        return xgboost.train({**params, "max_depth": 4}, xgboost.DMatrix(rows, **labels), 25)

    chance = booster("binary:logistic", label=amounts > 1)
    said = {"task": "clv", "kind": "amount", "buys": None, "quantiles": None, "calibration": Calibration(method="none")}
    if request.param == "probability":
        knots = {"raw": (0.0, 0.5, 1.0), "calibrated": (0.1, 0.4, 0.9)}
        said |= {"kind": "probability", "booster": chance, "calibration": Calibration(method="platt", **knots)}
    elif request.param == "amount":
        said |= {"booster": booster("reg:squarederror", label=amounts)}
    elif request.param == "two parts":
        said |= {"booster": booster("reg:gamma", label=amounts), "buys": chance}
    else:
        is_survival = request.param == "days"
        bounds = {"label_lower_bound": amounts, "label_upper_bound": np.where(amounts > 2, np.inf, amounts)}
        made = (
            booster("survival:aft", **bounds) if is_survival else booster("reg:quantileerror", label=-np.log1p(amounts))
        )
        shifts = (-1.0, 0.2, 1.0) if is_survival else (-9.0, 0.1, 9.0)
        quantiles = Quantiles(booster=made, link="log" if is_survival else "minus_log1p", shifts=shifts)
        said |= {"kind": "days", "booster": made, "quantiles": quantiles}
    return TaskModel(
        horizon_days=10_000,
        features=FEATURES,
        feature_hash=input_hash(FEATURES[:4]),
        gate=Gate(feature="order_count_90d", at_least=1, said="orders"),
        **said,
    )


def test_base_and_contributions_are_the_raw_score(model, rows):
    to_score = {
        "log_odds": lambda raw: model.calibration.apply(1 / (1 + np.exp(-raw))),
        "identity": lambda raw: np.maximum(raw, 0),
        "log": np.exp,
        "log1p": np.expm1,
    }
    scores = model.score(rows)
    for count in (1, 3, 20):
        told = explain(model, rows, count=count, currency="EUR")
        raw = np.array([one.raw for one in told])
        sums = [one.base + one.rest + sum(reason.contribution for reason in one.reasons) for one in told]
        np.testing.assert_allclose(sums, raw, atol=1e-9)
        np.testing.assert_allclose(to_score[told[0].scale](raw), scores, rtol=1e-4, atol=1e-4)
        assert max(len(one.reasons) for one in told) == min(count, 4)
    assert np.ptp(scores) > 0.1


def test_features_that_say_the_same_are_one_reason(model, rows):
    parts, _ = model.contributions(rows)
    for row, values, told in zip(parts, rows, explain(model, rows, count=20, currency="EUR"), strict=True):
        for reason in told.reasons:
            places = [FEATURES.index(name) for name in reason.features]
            assert reason.contribution == pytest.approx(row[places].sum(), abs=1e-9)
            assert [np.nan if value is None else value for value in reason.features.values()] == pytest.approx(
                values[places].tolist(), nan_ok=True
            )
            assert reason.direction == ("raises" if reason.contribution > 0 else "lowers")
        sizes = [abs(reason.contribution) for reason in told.reasons]
        assert sizes == sorted(sizes, reverse=True)
        assert sum(reason.share for reason in told.reasons) == pytest.approx(1)
        names = {reason.name: set(reason.features) for reason in told.reasons}
        assert names.get("orders", set(FEATURES[:2])) == set(FEATURES[:2])
