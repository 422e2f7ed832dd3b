"""What several rooms' tests stand on: a home on which the demo has run, for real, once a session."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from facts.home import Home
from tests.market import bring_in
from tests.processes import Ran, cold, regulars

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does: two processes share two cores


@dataclass(frozen=True, slots=True)
class Demo:
    """The home that the demo left, and what it printed."""

    home: Home
    ran: Ran


ON_THE_DEMO = ("tests/e2e/", "tests/cli/test_state.py", "tests/contracts/test_parity.py", "tests/notebooks/")


class ByRoom(LoadScopeScheduling):
    """Keep tests that share a costly fixture in one process: those of the demo's home, and those of each folder."""

    def _split_scope(self, nodeid: str) -> str:
        return "demo" if nodeid.startswith(ON_THE_DEMO) else nodeid.rsplit("/", 1)[0]


# The costliest first, so that the two processes end together; the rooms not named follow as they come.
FIRST = (*ON_THE_DEMO, "tests/facts", "tests/serving", "tests/features", "tests/cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((i for i, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST))

    items.sort(key=place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return ByRoom(config, log)


@pytest.fixture(scope="session")
def run_regulars():
    return regulars


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`regulars demo` with a small search, on Complete Journey; only read what it leaves."""
    home = Home(tmp_path_factory.mktemp("demo") / "home")
    ran = cold("demo", "--trials", "1", home=home)
    assert ran.code == 0, ran.err[-3000:] + ran.out[-2000:]
    return Demo(home, ran)


@pytest.fixture(scope="session")
def trained_home(demo: Demo) -> Home:
    os.environ["REGULARS_HOME"] = str(demo.home.folder)
    return demo.home


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose lake holds the market of `tests.market`, with a recommender and its night; only read it."""
    from features.recommending.night import build_night, write_night
    from training.recommender.pipeline import train_recommender
    from training.reign import promote
    from training.trials import Budget

    home = Home(tmp_path_factory.mktemp("market") / "home")
    lake = bring_in(home)
    write_night(home, build_night(lake, lake.shop().observed_until))
    done = train_recommender(home, budget=Budget(trials=0), seed=1)
    if not done.is_champion:
        promote(home, "recommender", done.version, reason="for the tests")
    return home


@pytest.fixture
def empty_home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")
