"""A booster's trees say the same by ONNX and by XGBoost, of one row as in a crowd, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost

from scoring.trees import FEW_ROWS, UnknownTrees, figures, margins, to_onnx, trees_of, xgboost_margins
from training.objectives import BUYS, OBJECTIVES

HORIZON_DAYS = 30.0
AGREEMENT = 1e-6  # of the largest figure: what is made of a margin is worked out in float64 here, in float32 there


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(2000, 12)).astype(np.float32)
    values[:, 5] = np.round(values[:, 5])  # values that fall on a split
    values[rng.random(values.shape) < 0.3] = np.nan
    return values


@pytest.fixture(scope="module", params=[BUYS, *OBJECTIVES.values()], ids=lambda objective: objective.name)
def booster(request, rows) -> xgboost.Booster:
    objective, amounts = request.param, np.exp(np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 5])).astype(np.float64)
    label = (amounts > 1).astype(np.float64) if objective.xgboost["objective"] == "binary:logistic" else amounts
    given = {name: np.asarray(told, np.float32) for name, told in objective.labels(label, HORIZON_DAYS).items()}
    params = {**objective.xgboost, **objective.own(label, HORIZON_DAYS), "max_depth": 5, "eta": 0.1, "seed": 1}
    return xgboost.train(params, xgboost.DMatrix(rows, **given), 80)


def test_it_agrees_with_xgboost_missing_values_included(booster, rows):
    data = xgboost.DMatrix(rows)
    told = booster.predict(data, output_margin=True).reshape(len(rows), -1)
    said = booster.predict(data).reshape(len(rows), -1)
    assert np.array_equal(margins(booster, rows), told)
    np.testing.assert_allclose(figures(booster, rows), said, rtol=0, atol=AGREEMENT * np.abs(said).max())
    assert np.ptp(told, axis=0).min() > 0.1
    blank = np.full_like(rows[:1], np.nan)
    np.testing.assert_allclose(figures(booster, blank).ravel(), booster.predict(xgboost.DMatrix(blank)).ravel(), 1e-6)


def test_both_ways_have_the_same_bits_alone_and_in_a_crowd(booster, rows):
    few, many = trees_of(booster).margins(rows), xgboost_margins(booster, np.tile(rows, (6, 1)))
    assert few.tobytes() == many[: len(rows)].tobytes() == many[-len(rows) :].tobytes()
    for size in (1, 7, FEW_ROWS, FEW_ROWS + 1):
        alone = [margins(booster, rows[start : start + size]) for start in range(0, 10 * size, size)]
        assert np.concatenate(alone).tobytes() == few[: 10 * size].tobytes()


def test_a_booster_is_loaded_once(booster):
    assert trees_of(booster) is trees_of(booster)


def test_what_onnx_would_say_wrong_is_refused(rows):
    label = np.nan_to_num(rows[:, 0])
    dart = xgboost.train({"booster": "dart", "rate_drop": 0.5}, xgboost.DMatrix(rows, label), 4)
    kinds = xgboost.DMatrix(np.abs(np.round(rows)), label, feature_types=["c"] * 12, enable_categorical=True)
    for booster in (dart, xgboost.train({"max_cat_to_onehot": 1}, kinds, 4)):
        with pytest.raises(UnknownTrees, match="cannot be written as ONNX"):
            to_onnx(booster)
