"""Offline value = online value = endpoint's value, for every customer of the data and the same instant."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from facts.lake import Lake
from features.catalog import names_of, of_shop
from features.frame import features_as_of
from features.inputs import REPLACED, Inputs
from features.materialize import materialize
from features.snapshots import snapshot_cutoffs, snapshot_names
from features.store import TTL, open_store
from scoring.batch import known_rows
from scoring.parts import QUANTILE_NAMES
from serving.champions import read_champions
from serving.run import start_server
from training.tasks import TASKS

ALL = 1000


@pytest.fixture(scope="module")
def instant(trained_home) -> datetime:
    """An instant between two snapshots at which facts were received: they are not known yet."""
    lake = Lake(trained_home.lake)
    with lake.connect() as connection:
        received = lake.table(connection, "events").received_at.value_counts(name="events").execute()
    cutoffs = snapshot_cutoffs(lake)
    later = received[(received["received_at"] > cutoffs[-12]) & ~received["received_at"].isin(list(cutoffs))]
    busiest = later.sort_values(["events", "received_at"]).iloc[-1]
    assert busiest["events"] > 20
    return busiest["received_at"].to_pydatetime()


@pytest.fixture(scope="module")
def endpoint(trained_home, instant):
    """What the endpoint says of every customer of the data, with the features that it saw."""
    import httpx

    store = open_store(trained_home)
    materialize(store, trained_home, as_of=instant)
    with Lake(trained_home.lake).connect() as connection:
        customers = Lake(trained_home.lake).table(connection, "customers").customer_id.execute().tolist()
    results = []
    with (
        start_server(trained_home, as_of=instant) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        for start in range(0, len(customers), ALL):
            body = {"customer_ids": customers[start : start + ALL], "features": True}
            answer = client.post("/v1/score", json=body)
            assert answer.status_code == 200, answer.text
            results += answer.json()["results"]
    assert [result["customer_id"] for result in results] == customers
    return {result["customer_id"]: result for result in results}


def test_the_endpoint_knows_exactly_the_customers_of_the_snapshot(trained_home, instant, endpoint):
    known = set(known_rows(Lake(trained_home.lake), as_of=instant).customer_ids)
    assert known == {name for name, result in endpoint.items() if result["status"] != "unknown_customer"}
    assert 2000 < len(known) < len(endpoint)


def test_features_of_the_endpoint_are_those_of_the_training_join(trained_home, instant, endpoint):
    lake = Lake(trained_home.lake)
    names = Inputs.of(snapshot_names(lake), lake.shop().has).names
    entities = pd.DataFrame({"customer_id": list(endpoint), "cutoff": pd.Timestamp(instant)})
    offline = features_as_of(open_store(trained_home), lake, entities).set_index("customer_id")
    for customer, result in endpoint.items():
        row = offline.loc[customer, list(names)].to_numpy(dtype=np.float32)
        if result["status"] == "unknown_customer":
            assert np.isnan(row[: len(Inputs.of(snapshot_names(lake), lake.shop().has).kept)]).all()
        else:
            online = np.array([np.nan if (v := result["features"][n]) is None else v for n in names], dtype=np.float32)
            np.testing.assert_array_equal(online, row)


def test_the_endpoint_answers_for_what_the_shop_never_had_before(trained_home, endpoint):
    assert "browsing" not in Lake(trained_home.lake).shop().has
    known = [result["features"] for result in endpoint.values() if result["status"] == "ok"]
    assert {features["product_view_count_30m"] for features in known} == {0}


def test_scores_of_the_endpoint_are_those_of_batch_scoring(trained_home, instant, endpoint, run_regulars, tmp_path):
    output = tmp_path / "scores.parquet"
    ran = run_regulars("score", "--as-of", instant.isoformat(), "--output", str(output), home=trained_home)
    assert ran.code == 0, ran.err
    frame = pd.read_parquet(output).set_index("customer_id")
    champions = read_champions(trained_home)
    for customer, result in endpoint.items():
        if result["status"] == "unknown_customer":
            assert customer not in frame.index
            continue
        row = frame.loc[customer]
        assert row["status"] == result["status"]
        assert row["features_as_of"] == pd.Timestamp(result["features_as_of"])
        for task, model in champions.items():
            assert result[task][model.kind] == row[f"{task}_{model.kind}"]
            assert result[task]["model"] == row[f"{task}_model"] == model.label


def test_mlflow_loads_the_figures_of_the_endpoint(trained_home, instant, endpoint):
    import mlflow

    rows = known_rows(Lake(trained_home.lake), as_of=instant)
    frame = pd.DataFrame(rows.matrix, columns=list(rows.features))
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(trained_home.tracking_uri)
    try:
        for task, model in read_champions(trained_home).items():
            scores = mlflow.pyfunc.load_model(f"models:/regulars-{task}@champion").predict(frame)
            said = [endpoint[customer][task][model.kind] for customer in rows.customer_ids]
            np.testing.assert_array_equal(scores[model.kind], said)
            if task == "clv":
                for name in QUANTILE_NAMES:
                    told = [endpoint[customer][task][name] for customer in rows.customer_ids]
                    np.testing.assert_array_equal(scores[name], told)
    finally:
        mlflow.set_tracking_uri(before)


def test_past_the_ttl_nothing_is_scored(trained_home, run_regulars, tmp_path):
    late = snapshot_cutoffs(Lake(trained_home.lake))[-1] + TTL + timedelta(seconds=1)
    output = tmp_path / "scores.csv"
    assert run_regulars("score", "--as-of", late.isoformat(), "--output", str(output), home=trained_home).code == 0
    frame = pd.read_csv(output)
    assert set(frame["status"]) == {"stale_features"}
    assert frame["repurchase_probability"].isna().all()


def test_models_features_are_the_catalogs_by_name_and_order(trained_home):
    models = read_champions(trained_home)
    assert models
    lake = Lake(trained_home.lake)
    features = of_shop(lake.shop().has)
    assert snapshot_names(lake) == names_of(features)
    inputs = Inputs.of(snapshot_names(lake), lake.shop().has)
    assert all(model.features == inputs.names for model in models.values())
    assert set(inputs.kept) == set(names_of(features)) - REPLACED
    assert set(models) <= set(TASKS)
    assert os.environ["REGULARS_HOME"] == str(trained_home.folder)
