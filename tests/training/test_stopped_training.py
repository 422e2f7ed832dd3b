"""A training stopped at any step and started again ends the same: killed at steps that its files give away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from facts.home import Home
from scoring.model_files import BOOSTER_FILE
from scoring.registry import version_folder
from tests.processes import kill_when, regulars
from tests.training.clockwork import clockwork_lake, home_on
from training import tracking
from training.reign import TAG

NAME, TRIALS = "regulars-repurchase", 3
TRAIN = ("train", "repurchase", "--horizon-days", "7", "--trials", str(TRIALS))


@dataclass(frozen=True, slots=True)
class Ended:
    """What a training left: the champion's files, what was measured, the versions, and how each run ended."""

    files: dict[str, bytes]
    report: dict[str, Any]
    versions: list[str]
    champion: str
    trials: list[dict[str, str]]
    statuses: list[str]


def _ended(home: Home) -> Ended:
    with tracking.tracked(home) as client:
        champion = client.get_model_version_by_alias(NAME, "champion")
        runs = client.search_runs([client.get_experiment_by_name(NAME).experiment_id])
        trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == champion.run_id]
        return Ended(
            files={
                path.name: path.read_bytes() for path in version_folder(home, "repurchase", champion.version).iterdir()
            },
            report=tracking.read_report(client, champion),
            versions=[str(version.version) for version in client.search_model_versions(f"name = '{NAME}'")],
            champion=str(champion.version),
            trials=sorted((run.data.params for run in trials), key=str),
            statuses=sorted(run.info.status for run in runs if "mlflow.parentRunId" not in run.data.tags),
        )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clockwork_lake(tmp_path_factory.mktemp("clockwork"))


@pytest.fixture(scope="module")
def whole(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    home = home_on(lake, tmp_path_factory.mktemp("whole"))
    ran = regulars(*TRAIN, home=home)
    assert ran.code == 0, ran.err
    return _ended(home)


@pytest.fixture(scope="module")
def stopped(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which a training was killed three times, each time further on, and then ran through."""
    home = home_on(lake, tmp_path_factory.mktemp("stopped"))
    journal = home.search / "repurchase.journal"
    kill_when((home.folder / ".mlflow.partial" / "mlflow.db").exists, *TRAIN, home=home)
    assert not home.has_tracking
    kill_when(lambda: journal.is_file() and '"state":1' in journal.read_text(), *TRAIN, home=home)  # a trial is done
    assert not _versions(home)
    kill_when(lambda: any(home.artifacts.rglob(BOOSTER_FILE)), *TRAIN, home=home)
    assert journal.read_text().count('"state":1') == TRIALS
    assert not _versions(home)
    ran = regulars(*TRAIN, home=home)
    assert ran.code == 0, ran.err
    return home


def _versions(home: Home) -> list[str]:
    with tracking.tracked(home) as client:
        return [str(version.version) for version in client.search_model_versions(f"name = '{NAME}'")]


def test_a_killed_training_ends_the_same(whole: Ended, stopped: Home) -> None:
    ended = _ended(stopped)
    assert ended.files == whole.files
    assert ended.report == whole.report
    assert (ended.versions, ended.champion) == (whole.versions, whole.champion) == (["1"], "1")
    assert ended.trials == whole.trials
    assert len(ended.trials) == TRIALS


def test_what_was_killed_is_called_killed(whole: Ended, stopped: Home) -> None:
    assert whole.statuses == ["FINISHED"]
    assert _ended(stopped).statuses == ["FINISHED", "KILLED", "KILLED"]


def test_two_at_once_make_one_version(whole: Ended, lake: Path, tmp_path: Path) -> None:
    home = home_on(lake, tmp_path)
    with ThreadPoolExecutor(2) as threads:
        ran = [done.result() for done in [threads.submit(regulars, *TRAIN, home=home) for _ in range(2)]]
    assert [one.code for one in ran] == [0, 0], [one.err for one in ran]
    assert sum("regulars-repurchase/1 stands" in one.out for one in ran) == 1
    ended = _ended(home)
    assert (ended.files, ended.report) == (whole.files, whole.report)
    assert (ended.versions, ended.champion) == (["1"], "1")


def test_a_search_that_its_time_ended_goes_on(whole: Ended, lake: Path, tmp_path: Path) -> None:
    home = home_on(lake, tmp_path)
    none = ("--timeout", "0")
    short, as_short, again, third = (regulars(*TRAIN, *more, home=home) for more in (none, none, (), ()))
    assert [short.code, as_short.code, again.code, third.code] == [0, 0, 0, 0], again.err
    assert "regulars-repurchase/1 stands" in as_short.out  # there was no time for more
    assert _versions(home) == ["2", "1"]
    assert "regulars-repurchase/2 stands" in third.out
    with tracking.tracked(home) as client:
        reports = [tracking.read_report(client, client.get_model_version(NAME, version)) for version in ("1", "2")]
    assert [report["trials"] for report in reports] == [0, TRIALS]
    assert reports[1]["params"] == whole.report["params"]


def test_one_that_had_registered_is_crowned_and_finished(stopped: Home) -> None:
    """Killed between the version and its alias, which no file gives away: the registry is put back to that."""
    with tracking.tracked(stopped) as client:
        run_id = client.get_model_version(NAME, "1").run_id
        client.delete_registered_model_alias(NAME, "champion")
        client.delete_model_version_tag(NAME, "1", TAG)
        client.update_run(run_id, status="RUNNING")
    ran = regulars(*TRAIN, home=stopped)
    assert ran.code == 0, ran.err
    assert "regulars-repurchase/1 stands" in ran.out
    ended = _ended(stopped)
    assert (ended.versions, ended.champion) == (["1"], "1")
    assert ended.statuses == ["FINISHED", "KILLED", "KILLED"]
