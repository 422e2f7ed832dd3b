"""What is kept of a training: a sample of what it learned from, and the scores of whom it never saw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xgboost

from features.inputs import input_hash
from scoring.model import TaskModel
from scoring.parts import Calibration, Gate
from training.dataset import TrainingSet
from training.monitoring import build_reference
from training.monitoring.reference import MOST_ROWS

FEATURES = ("a", "b")


def rows(count: int, *, seed: int) -> TrainingSet:
    values = np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)
    frame = pd.DataFrame(values, columns=list(FEATURES))
    return TrainingSet(frame.assign(customer_id="c", label=(frame["a"] > 0).astype(float)), FEATURES)


@pytest.fixture(scope="module")
def model() -> TaskModel:
    train = rows(200, seed=1)
    return TaskModel(
        task="churn",
        kind="probability",
        horizon_days=7,
        features=FEATURES,
        feature_hash=input_hash(FEATURES),
        gate=Gate(feature="a", at_least=0, said="a"),
        calibration=Calibration(method="none"),
        booster=xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(train.matrix, train.label), 3),
    )


@pytest.mark.parametrize("count", [10, MOST_ROWS, MOST_ROWS + 1, 3 * MOST_ROWS])
def test_at_most_so_many_rows_of_the_training_set_and_scores_of_the_test_set(model, count):
    train, test = rows(count, seed=2), rows(count + 7, seed=3)
    kept = build_reference(model, train, test, seed=1)
    assert len(kept.features) == min(count, MOST_ROWS)
    assert len(kept.scores) == min(count + 7, MOST_ROWS)
    assert set(map(tuple, kept.features.to_numpy())) <= set(map(tuple, train.matrix))
    assert set(kept.scores) <= set(model.score(test.matrix))
    again = build_reference(model, train, test, seed=1)
    pd.testing.assert_frame_equal(kept.features, again.features)
