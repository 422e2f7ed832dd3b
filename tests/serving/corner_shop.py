"""A shop small enough to read: forty customers, a year of orders, and three tiny models of them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import ibis
import numpy as np
import pandas as pd
import xgboost
from starlette.testclient import TestClient

from facts.contracts import FACTS
from facts.home import PROJECT, Home
from facts.ingest import ingest
from facts.ingest.delivery import Delivery
from facts.lake import Lake, Shop
from features.build import build_snapshots
from features.inputs import input_hash
from features.materialize import materialize
from features.snapshots import SNAPSHOTS, snapshot_names
from features.store import apply_definitions
from scoring.batch import known_rows
from scoring.model import TaskModel
from scoring.model_files import write_model
from scoring.parts import Calibration, Gate, Kind, Quantiles
from serving.clock import TICK
from serving.schema import TASKS

UNTIL = datetime(2024, 7, 1, tzinfo=UTC)
FROM = UNTIL - timedelta(days=365)
CUTOFFS = (UNTIL - timedelta(days=28), UNTIL - timedelta(days=14), UNTIL)
REGULAR_IDS = tuple(f"customer-{number:02d}" for number in range(36))
LAPSED_IDS = ("lapsed-1", "lapsed-2", "lapsed-3")  # one order long ago: too little for the models
BROWSER_ID = "never-bought"
Serve: TypeAlias = Callable[..., AbstractContextManager[TestClient]]
SHOP = Shop(
    name="Corner shop",
    source="test",
    currency="EUR",
    timezone="UTC",
    observed_from=FROM,
    observed_until=UNTIL,
    clock="standing",
)


@contextmanager
def environment(**names: str) -> Iterator[None]:
    kept = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})


@dataclass(frozen=True, slots=True)
class Order:
    """One order of one line."""

    order_id: str
    customer_id: str
    at: datetime
    amount: int


def orders() -> list[Order]:
    """Return the orders of the shop: the n-th regular comes about every n + 2 days."""
    chance = random.Random(7)  # noqa: S311 - test data
    times = [
        (customer_id, at)
        for number, customer_id in enumerate(REGULAR_IDS)
        for at in _visits(chance, every_days=number + 2)
    ]
    times += [(customer_id, FROM + timedelta(days=3, hours=11)) for customer_id in LAPSED_IDS]
    return [Order(f"order-{n:04d}", who, at, chance.randint(1, 90)) for n, (who, at) in enumerate(times)]


def deliver(shop: Shop = SHOP) -> Delivery:
    """Return the shop as a source hands it over."""
    sold = orders()
    products = [(f"product-{n}", f"Thing {n}", f"kind-{n % 3}", "all", "own", n % 2 == 0, "1") for n in range(7)]
    rows = {
        "customers": [(c, "{}") for c in (*REGULAR_IDS, *LAPSED_IDS, BROWSER_ID)],
        "products": products,
        "orders": [
            (o.order_id, o.customer_id, "sale", o.at, o.at, o.at.date(), o.at.weekday(), o.at.hour, "main")
            for o in sold
        ],
        "order_lines": [(o.order_id, 1, f"product-{o.amount % 7}", 1, o.amount, 0, o.amount, 0) for o in sold],
        "events": [
            (f"mail-{n}", who, "Campaign Received", UNTIL - timedelta(days=n + 1), UNTIL - timedelta(days=n + 1), "{}")
            for n, who in enumerate(REGULAR_IDS[:9])
        ]
        + [("view-1", LAPSED_IDS[0], "Product Viewed", FROM, FROM, '{"product_id": "product-1"}')],
    }
    tables = {
        name: ibis.memtable(pd.DataFrame(rows[name], columns=list(contract.columns)))
        for name, contract in FACTS.items()
    }
    return Delivery(shop=shop, tables=tables)


def build_home(folder: Path) -> Home:
    """Bring the shop into a home: lake, snapshots, Feast's registry and the online store; no model yet."""
    home = Home(folder)
    lake = Lake(home.lake)
    ingest(deliver(), lake)
    build_snapshots(lake, CUTOFFS)
    materialize(apply_definitions(home), home, as_of=UNTIL)
    return home


def open_registry(home: Home) -> None:
    """Make the tables of MLflow's registry, which takes MLflow some seconds."""
    import mlflow

    mlflow.MlflowClient(tracking_uri=home.tracking_uri).search_registered_models()


def snapshot_rows(home: Home, cutoff: datetime = UNTIL) -> pd.DataFrame:
    """Return the snapshot at a cutoff, by customer."""
    rows = pd.read_parquet(Lake(home.lake).path(SNAPSHOTS))
    return rows[rows["cutoff"] == pd.Timestamp(cutoff)].set_index("customer_id")[list(snapshot_names(Lake(home.lake)))]


def input_rows(home: Home, as_of: datetime = UNTIL + TICK) -> pd.DataFrame:
    """Return what models are given at an instant, by customer."""
    rows = known_rows(Lake(home.lake), as_of=as_of)
    return pd.DataFrame(rows.matrix, columns=list(rows.features), index=list(rows.customer_ids))


def matrix_of(rows: pd.DataFrame) -> np.ndarray:
    """Return rows of a snapshot as models take them."""
    return rows.to_numpy(dtype=np.float32, na_value=np.nan)


def fit_model(home: Home, task: str, *, names: tuple[str, ...] | None = None) -> TaskModel:
    """Fit a few trees on the inputs; what they predict does not matter, that they tell customers apart does."""
    rows = input_rows(home)
    names = names or tuple(rows.columns)
    label = {
        "repurchase": rows["order_count_30d"] > 1,
        "churn": rows["order_count_30d"] < 2,
        "clv": rows["spend_amount_90d"],
        "next_order": rows["order_recency_live_days"],
    }[task].astype("float32")
    kind: Kind = {"clv": "amount", "next_order": "days"}.get(task, "probability")  # type: ignore[assignment]
    objective = "binary:logistic" if kind == "probability" else "reg:squarederror"
    training = xgboost.DMatrix(matrix_of(rows[list(names)]), label=label)
    booster = xgboost.train({"objective": objective, "max_depth": 3, "seed": 1}, training, num_boost_round=8)
    return TaskModel(
        task=task,
        kind=kind,
        horizon_days={"repurchase": 7, "churn": 30, "clv": 90, "next_order": 90}[task],
        features=names,
        feature_hash=input_hash(names),
        gate=Gate(feature="order_count_90d", at_least=1, said="orders in the last 90 days"),
        calibration=Calibration(method="none")
        if kind != "probability"
        else Calibration(method="isotonic", raw=(0.0, 0.5, 1.0), calibrated=(0.01, 0.4, 0.98)),
        currency="EUR" if kind == "amount" else None,
        booster=booster,
        quantiles=None
        if kind == "probability"
        else Quantiles(booster=booster, link="identity", shifts=(-5.0, 0.0, 5.0)),
    )


def register(home: Home, model: TaskModel, *, scratch: Path, alias: str | None = "champion") -> str:
    """Register a model as training does, from code, and return its version."""
    import mlflow
    from mlflow.models import infer_signature

    write_model(model, scratch)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(home.tracking_uri)
    name = f"regulars-{model.task}"
    found = mlflow.get_experiment_by_name(name)
    experiment = found.experiment_id if found else mlflow.create_experiment(name, home.artifacts.as_uri())
    example = input_rows(home)[list(model.features)].head(2)
    with mlflow.start_run(experiment_id=experiment):
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PROJECT / "scoring" / "pyfunc.py"),
            artifacts={"model": str(scratch)},
            code_paths=[str(PROJECT / "scoring")],
            pip_requirements=["xgboost", "onnxruntime"],
            signature=infer_signature(example, np.zeros(2)),
            registered_model_name=name,
        )
    version = str(logged.registered_model_version)
    if alias is not None:
        mlflow.MlflowClient().set_registered_model_alias(name, alias, version)
    mlflow.set_tracking_uri(before)
    return version


def register_all(home: Home, scratch: Path) -> dict[str, TaskModel]:
    """Fit and register every task's champion, and return them under their versions."""
    models = {task: fit_model(home, task) for task in TASKS}
    return {task: model.with_version(register(home, model, scratch=scratch / task)) for task, model in models.items()}


def _visits(chance: random.Random, *, every_days: int) -> list[datetime]:
    times, at = [], FROM + timedelta(days=1, hours=9)
    while at < UNTIL - timedelta(days=1):
        times.append(at)
        at += timedelta(days=max(1, every_days + chance.randint(-1, 1)), hours=chance.randint(-1, 1))
    return times
