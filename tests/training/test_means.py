"""Training by several workers, on several machines' homes, without a search, and what is refused before it begins."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from facts.home import Home
from tests.postgres_server import postgres, trial_states
from tests.processes import kill_when, regulars
from tests.training.clockwork import clockwork_lake, home_on
from training import tracking
from training.means import Means, core_count

NAME = "regulars-repurchase"
TRAIN = ("train", "repurchase", "--horizon-days", "7")
SECRET = "hunter2-%C3%A9"  # noqa: S105 - of no server
TWO_CORES = pytest.mark.skipif(core_count() < 2, reason="two workers need two cores")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clockwork_lake(tmp_path_factory.mktemp("clockwork"))


@pytest.fixture
def home(lake: Path, tmp_path: Path) -> Home:
    return home_on(lake, tmp_path)


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory):
    with postgres(tmp_path_factory.mktemp("postgres") / "data") as address:
        yield address


def _champion(home: Home) -> tuple[dict[str, Any], dict[str, str], str]:
    """Return the report, the parameters of the run and the card of the one version."""
    with tracking.tracked(home) as client:
        (version,) = client.search_model_versions(f"name = '{NAME}'")
        run = client.get_run(version.run_id)
        plots = {Path(artifact.path).stem for artifact in client.list_artifacts(run.info.run_id, "plots")}
        return tracking.read_report(client, version) | {"plots": plots}, run.data.params, version.description


def test_no_trials_train_the_defaults(home: Home) -> None:
    ran = regulars(*TRAIN, "--trials", "0", home=home)
    assert ran.code == 0, ran.err
    report, params, card = _champion(home)
    assert report["search_ended_by"] == "no search: defaults"
    assert report["trials"] == 0
    assert report["search"]["folds"]
    assert report["params"]["rounds"] < 500  # stopped early on the folds
    assert "**Search** no search: defaults; mean validation log_loss" in card
    assert params["trials"] == "0"
    assert "optimisation_history" not in report["plots"]
    assert "gain" in report["plots"]
    assert not home.search.exists()


@TWO_CORES
def test_workers_search_one_study_and_one_of_them_may_be_killed(home: Home) -> None:
    journal = home.search / "repurchase.journal"
    killed: list[int] = []
    stop = threading.Event()

    def kill_one() -> None:
        me = psutil.Process()
        while not killed and not stop.wait(0.01):
            if journal.is_file() and '"state":1' in journal.read_text():  # a trial is done
                command = [process for process in me.children(recursive=True) if _is_worker(process)]
                if command:
                    command[0].kill()
                    killed.append(command[0].pid)

    killer = threading.Thread(target=kill_one)
    killer.start()
    ran = regulars(*TRAIN, "--trials", "30", "--workers", "2", home=home)
    stop.set()
    killer.join()
    assert ran.code == 0, ran.err
    assert killed
    report, params, card = _champion(home)
    assert report["trials"] == 30
    assert report["search_ended_by"] == "ended by the budget of 30 trials"
    assert (params["workers"], params["storage"], params["device"]) == ("2", "journal file", "cpu")
    assert "**Search** ended by the budget of 30 trials" in card


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "multiprocessing.spawn" in " ".join(process.cmdline())
    except psutil.Error:
        return False


@TWO_CORES
def test_a_search_of_several_workers_that_was_killed_goes_on(home: Home) -> None:
    journal = home.search / "repurchase.journal"
    train = (*TRAIN, "--trials", "8")
    kill_when(lambda: journal.is_file() and '"state":1' in journal.read_text(), *train, "--workers", "2", home=home)
    ran = regulars(*train, home=home)
    assert ran.code == 0, ran.err
    assert _champion(home)[0]["trials"] == 8


def test_two_machines_share_a_search_and_one_of_them_is_killed(lake: Path, tmp_path: Path, url: str) -> None:
    one, two = home_on(lake, tmp_path / "one"), home_on(lake, tmp_path / "two")
    train = (*TRAIN, "--trials", "12", "--storage", url)
    ran = []
    other = threading.Thread(target=lambda: ran.append(regulars(*train, home=two)))
    other.start()
    kill_when(lambda: trial_states(url).count("RUNNING") == 2, *train, home=one)
    other.join()
    assert ran[0].code == 0, ran[0].err
    states = trial_states(url)
    assert states.count("COMPLETE") == 12
    assert "RUNNING" not in states
    again = regulars(*train, home=one)
    assert again.code == 0, again.err
    assert trial_states(url) == states  # the study was complete: nothing was searched again
    first, second = _champion(one), _champion(two)
    assert first[0]["params"] == second[0]["params"]
    assert first[1]["storage"] == second[1]["storage"] == "PostgreSQL"
    assert not one.search.exists()
    assert url not in str(first) + str(second)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--storage", f"mysql://u:{SECRET}@h/d"], "--storage takes postgresql://user@host:port/database"),
        (["--storage", f"postgresql://u:{SECRET}@h:1/d?nothing=1"], "--storage takes postgresql://user@host"),
        (["--storage", f"postgresql://u:{SECRET}@127.0.0.1:1/d"], "PostgreSQL at 127.0.0.1:1/d cannot be used: conn"),
        (["--workers", "1000"], "1,000 workers would share"),
        (["--device", "cdua"], "no device named 'cdua'; did you mean 'cuda'?"),
    ],
    ids=["not PostgreSQL", "unreadable", "down", "workers", "device"],
)
def test_what_cannot_be_had_is_one_sentence_and_writes_nothing(home: Home, arguments: list[str], said: str) -> None:
    before = sorted(home.folder.rglob("*"))
    ran = regulars(*TRAIN, *arguments, home=home)
    assert ran.code == 2
    (sentence,) = ran.err.splitlines()
    assert said in sentence
    assert SECRET not in ran.err + ran.out
    assert "hunter2" not in ran.err + ran.out
    assert sorted(home.folder.rglob("*")) == before


def test_a_gpu_that_is_not_there_is_told(home: Home) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is one")
    before = sorted(home.folder.rglob("*"))
    ran = regulars(*TRAIN, "--device", "cuda", home=home)
    assert ran.code == 2
    assert "XGBoost finds no GPU that it can use on this machine; leave out --device cuda" in ran.err
    assert sorted(home.folder.rglob("*")) == before


def test_a_database_that_goes_away_is_told_and_the_study_stays(lake: Path, tmp_path: Path) -> None:
    home = home_on(lake, tmp_path)
    with postgres(tmp_path / "data") as url:
        train = (*TRAIN, "--trials", "100000", "--storage", url)
        ran = []
        training = threading.Thread(target=lambda: ran.append(regulars(*train, home=home)))
        training.start()
        while training.is_alive() and trial_states(url).count("COMPLETE") < 2:
            time.sleep(0.05)
    training.join()
    assert ran[0].code == 2
    assert len(ran[0].err.splitlines()) == 1, ran[0].err
    sentence = ran[0].err
    assert "cannot be used" in sentence
    assert "the same command goes on" in sentence
    with postgres(tmp_path / "data") as url:
        assert trial_states(url).count("COMPLETE") >= 2


def test_an_address_is_not_in_what_is_shown_of_the_means() -> None:
    assert "hunter2" not in repr(Means(storage=f"postgresql://u:{SECRET}@h/d"))
