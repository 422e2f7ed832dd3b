"""A logged model is read back as it is served, and a difference is named."""

from __future__ import annotations

import json
from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest
import xgboost

from facts.home import Home
from scoring.model import TaskModel
from scoring.model_files import BOOSTER_FILE, MODEL_FILE, onnx_name, read_model, write_model
from scoring.parts import QUANTILES, Calibration, Gate, Quantiles
from scoring.trees import FEW_ROWS, to_onnx
from training import tracking
from training.dataset import TrainingSet
from training.parity import parity_obstacle

FEATURES = ("order_count_90d", "spend_amount_90d", "order_recency_live_days")


@pytest.fixture(scope="module")
def rows() -> TrainingSet:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(300, len(FEATURES))).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    return TrainingSet(
        pd.DataFrame(values, columns=list(FEATURES)).assign(label=np.exp(np.nan_to_num(values[:, 0]))), FEATURES
    )


def _booster(rows: TrainingSet, objective: str, rounds: int = 20) -> xgboost.Booster:
    data = xgboost.DMatrix(rows.matrix, rows.label > 1 if "logistic" in objective else rows.label)
    return xgboost.train(
        {"objective": objective, "quantile_alpha": QUANTILES} if "quantile" in objective else {"objective": objective},
        data,
        rounds,
    )


@pytest.fixture(scope="module")
def model(rows) -> TaskModel:
    return TaskModel(
        task="clv",
        kind="amount",
        horizon_days=30,
        features=FEATURES,
        feature_hash="x",
        gate=Gate(feature=FEATURES[0], at_least=1, said="orders"),
        calibration=Calibration(method="none"),
        currency="EUR",
        booster=_booster(rows, "reg:gamma"),
        buys=_booster(rows, "binary:logistic"),
        quantiles=Quantiles(booster=_booster(rows, "reg:quantileerror"), link="identity", shifts=(-0.1, 0.0, 0.1)),
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    return Home(tmp_path_factory.mktemp("parity") / "home")


@pytest.fixture
def logged(home, model, rows):
    """Log the model anew and give its address and its folder in the home."""
    with tracking.tracked(home) as client:
        experiment = tracking.experiment_id(client, home, "parity", description="")
        before = set(home.artifacts.rglob(MODEL_FILE))
        with mlflow.start_run(experiment_id=experiment):
            uri = tracking.log_model(model, rows)
        (place,) = set(home.artifacts.rglob(MODEL_FILE)) - before
        yield uri, place.parent


def test_what_was_stored_is_what_was_measured(home, logged, model, rows):
    assert parity_obstacle(home, logged[0], model, rows.matrix) is None


def test_another_model_is_named_with_both_figures(home, logged, model, rows):
    measured = replace(model, booster=_booster(rows, "reg:gamma", rounds=19))
    said = parity_obstacle(home, logged[0], measured, rows.matrix)
    assert "read back as it is served it says" in said
    assert "of 300 customers" in said


def test_a_file_that_is_gone_is_named(home, logged, model, rows):
    uri, folder = logged
    (folder / BOOSTER_FILE).unlink()
    assert BOOSTER_FILE in parity_obstacle(home, uri, model, rows.matrix)


def test_an_interval_of_its_own_counts(home, logged, model, rows):
    measured = replace(model, quantiles=replace(model.quantiles, shifts=(-0.1, 0.0, 0.11)))
    said = parity_obstacle(home, logged[0], measured, rows.matrix)
    assert "read back as it is served it says" in said  # of the amount already: its mean has p90 in it


def test_two_files_of_one_booster_that_differ(home, logged, model, rows, tmp_path):
    """The digests fit, and the ONNX file, which scores few rows, is of the measured booster: UBJSON is another's."""
    few = rows.matrix[:FEW_ROWS]
    uri, folder = logged
    write_model(replace(model, booster=_booster(rows, "reg:gamma", rounds=19)), tmp_path)
    (tmp_path / onnx_name(BOOSTER_FILE)).write_bytes(to_onnx(model.booster))
    write_again(tmp_path)
    for file in tmp_path.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert read_model(folder).score(few).tobytes() == model.score(few).tobytes()
    assert "ONNX and UBJSON files are" in parity_obstacle(home, uri, model, few)
    assert "read back as it is served it says" in parity_obstacle(home, uri, model, rows.matrix)


def write_again(folder):
    """Write the digests of a model's files as they now are."""
    from scoring.model_files import digest_of, sha256_of

    told = json.loads((folder / MODEL_FILE).read_text())
    told.pop("sha256")
    told["boosters"] = {
        name: {file: sha256_of(folder / file) for file in held} for name, held in told["boosters"].items()
    }
    (folder / MODEL_FILE).write_text(json.dumps(told | {"sha256": digest_of(told)}))
