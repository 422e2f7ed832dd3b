"""`regulars evaluate` on a small shop: one run in MLflow, nothing registered, and an answer about more data."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from facts.home import Home
from scoring.registry import champion_version
from tests.processes import Ran, regulars
from tests.training.clockwork import clockwork_lake, home_on
from training import tracking
from training.backtest_run import EXPERIMENT
from training.pipeline import read_versions

TWO = ("--cutoffs", "2", "--horizon-days", "7", "--trials", "0")
EVALUATE = ("evaluate", "repurchase", *TWO, "--learning-curve")
HOLD = "Do its intervals hold, cutoff by cutoff"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clockwork_lake(tmp_path_factory.mktemp("clockwork"))


@pytest.fixture(scope="module")
def home(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return home_on(lake, tmp_path_factory.mktemp("evaluated"))


@pytest.fixture(scope="module")
def ran(home: Home) -> Ran:
    ran = regulars(*EVALUATE, home=home)
    assert ran.code == 0, ran.err
    return ran


@pytest.mark.usefixtures("ran")
def test_one_run_holds_every_cutoff_and_no_model_is_registered(home, tmp_path):
    assert read_versions(home) == []
    assert champion_version(home, "repurchase") is None
    with tracking.tracked(home) as client:
        (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
        assert run.info.status == "FINISHED"
        history = client.get_metric_history(run.info.run_id, "auc")
        artifacts = {item.path for folder in (None, "plots") for item in client.list_artifacts(run.info.run_id, folder)}
        report = json.loads(Path(client.download_artifacts(run.info.run_id, "report.json", str(tmp_path))).read_text())
    assert {"report.json", "by_cutoff.csv", "plots/over_cutoffs.png", "plots/learning_curve.png"} <= artifacts
    assert [point.step for point in history] == [0, 1]
    assert [point.value for point in history] == [c["estimates"]["model"]["auc"]["value"] for c in report["cutoffs"]]
    assert report["pooled"]["model"]["auc"]["low"] <= run.data.metrics["pooled.auc"]
    assert report["learning_curve"]["answers"]


@pytest.mark.usefixtures("ran")
def test_no_label_window_of_training_reaches_beyond_its_test_cutoff(home, tmp_path):
    with tracking.tracked(home) as client:
        (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
        report = json.loads(Path(client.download_artifacts(run.info.run_id, "report.json", str(tmp_path))).read_text())
    tests = [datetime.fromisoformat(done["test_cutoff"]) for done in report["cutoffs"]]
    assert tests == sorted(set(tests))
    for done, test in zip(report["cutoffs"], tests, strict=True):
        learned = [datetime.fromisoformat(cutoff) for cutoff in done["train_cutoffs"]]
        assert max(learned) + timedelta(days=7) <= test


def test_it_says_which_search_and_whether_more_data_would_help(ran):
    said = " ".join(ran.out.split())
    assert "each cutoff's search: no search: defaults" in said
    assert "The model from cutoff to cutoff" in said
    assert HOLD not in said  # a probability has none
    for what in ("customers", "cutoffs"):
        assert f"more {what}" in said


@pytest.mark.parametrize(
    ("task", "metrics"), [("clv", {"coverage_80", "width_80", "mean_total_ratio"}), ("next_order", {"coverage_80"})]
)
def test_intervals_are_measured_at_every_cutoff_and_together(lake, tmp_path, task, metrics):
    home = home_on(lake, tmp_path)
    ran = regulars("evaluate", task, *TWO, home=home)
    assert ran.code == 0, ran.err
    assert HOLD in " ".join(ran.out.split())
    assert "all together" in ran.out
    with tracking.tracked(home) as client:
        (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
        histories = {name: client.get_metric_history(run.info.run_id, name) for name in metrics}
        report = json.loads(Path(client.download_artifacts(run.info.run_id, "report.json", str(tmp_path))).read_text())
    for name, history in histories.items():
        measured = [done["interval"][name]["value"] for done in report["cutoffs"]]
        assert [(point.step, point.value) for point in history] == list(enumerate(measured))
        together = report["pooled_interval"][name]
        assert together["value"] == run.data.metrics[f"pooled.{name}"]
        assert together["low"] <= together["value"] <= together["high"]
    assert ("mean_total_ratio" in report["pooled_interval"]) is (task == "clv")


@pytest.mark.usefixtures("ran")
def test_too_short_a_history_is_one_sentence(home):
    refused = regulars("evaluate", "clv", "--horizon-days", "120", home=home)
    assert refused.code == 2
    assert "not enough data: history before the test on" in refused.err
