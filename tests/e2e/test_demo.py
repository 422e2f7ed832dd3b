"""The demo as a newcomer meets it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from facts.lake import Lake
from training import tracking
from training.tasks import TASKS


def test_it_goes_the_whole_way_and_says_what_it_cost(demo):
    out = demo.ran.out
    for said in (
        "the line moves goods or money",
        "customer_rhythm",
        "regulars-repurchase/1",
        "POST /v1/score",
        "regulars-recommender/1",
        "Recommended as of",
        "peak memory",
        "make serve",
    ):
        assert said in out
    assert "Traceback" not in demo.ran.err


def test_counts_shown_add_up(demo):
    lake = Lake(demo.home.lake)
    lines, aside = lake.stored("order_lines").rows, lake.stored("quarantine").rows
    assert lines + aside == 1_469_307
    assert f"{aside:,}" in demo.ran.out


@pytest.mark.parametrize("name", TASKS)
def test_every_task_leaves_a_run_that_a_person_can_read(demo, name):
    with tracking.tracked(demo.home) as client:
        version = client.get_model_version(f"regulars-{name}", "1")
        run = client.get_run(version.run_id)
        plots = {item.path for item in client.list_artifacts(run.info.run_id, "plots")}
        trials = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
        report = tracking.read_report(client, version)
    wanted = {"feature_importance", "shap_summary", "optimisation_history", "comparison"}
    kinds = {"probability": {"calibration", "gain", "decile"}, "amount": {"interval", "gain", "decile"}}
    wanted |= kinds.get(TASKS[name].kind, {"interval"})
    assert {f"plots/{plot}.png" for plot in wanted} <= plots
    assert len(trials) == 1
    assert run.info.status == "FINISHED"
    assert {d.tags[0].value for d in run.inputs.dataset_inputs} == {"training", "test"}
    assert all(d.dataset.digest for d in run.inputs.dataset_inputs)
    assert "### On the test cutoff" in version.description
    for row in report["deciles"]:
        assert row["lift_low"] <= row["lift"] <= row["lift_high"]
    assert version.tags["verdict"] == ("champion" if report["is_champion"] else "refused")
    assert version.tags["asked_by"].endswith(", `regulars demo`")
    assert version.tags["asked_by"] in version.description
    assert datetime.fromisoformat(version.tags["decided_at"]) <= datetime.now(UTC)
    assert version.tags["verdict_reason"]
    for measures in report["estimates"].values():
        assert all(m["low"] <= m["high"] for m in measures.values())


def test_no_pickle_lies_among_the_artifacts(demo):
    files = {path.suffix for path in demo.home.artifacts.rglob("*") if path.is_file()}
    assert ".ubj" in files
    assert not files & {".pkl", ".pickle", ".joblib", ".cloudpickle"}


def test_the_alias_follows_the_gate(demo):
    from scoring.registry import champion_version

    for name in TASKS:
        with tracking.tracked(demo.home) as client:
            report = tracking.read_report(client, client.get_model_version(f"regulars-{name}", "1"))
        assert report["is_champion"] == all(c["holds"] for c in report["comparisons"])
        assert champion_version(demo.home, name) == ("1" if report["is_champion"] else None)


def test_label_windows_end_before_what_comes_after(demo):
    for name in TASKS:
        with tracking.tracked(demo.home) as client:
            report = tracking.read_report(client, client.get_model_version(f"regulars-{name}", "1"))
        horizon = pd.Timedelta(days=report["horizon_days"])
        test = pd.Timestamp(report["test_cutoff"])
        assert all(pd.Timestamp(cutoff) + horizon <= test for cutoff in report["train_cutoffs"])
        assert test + horizon <= pd.Timestamp(Lake(demo.home.lake).shop().observed_until)


def test_a_second_run_changes_nothing(demo, run_regulars):
    home = demo.home
    before = (home.lake / "manifest.json").read_text()
    for command in (["ingest", "complete-journey"], ["features", "build"], ["train", "--trials", "1"]):
        ran = run_regulars(*command, home=home)
        assert ran.code == 0, ran.err
    assert json.loads((home.lake / "manifest.json").read_text()) == json.loads(before)
    with tracking.tracked(home) as client:
        assert all(len(client.search_model_versions(f"name = 'regulars-{name}'")) == 1 for name in TASKS)
