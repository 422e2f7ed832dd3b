"""Shops with something wrong, through the command line: what can be trained is, and what is not is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from facts.home import Home
from facts.lake import Lake
from features.snapshots import snapshot_cutoffs
from scoring.registry import champion_version
from tests.builders import DAY, at
from tests.processes import Ran, regulars
from tests.training.small_shops import SHOPS, SILENCE, bring_in
from training import tracking
from training.pipeline import read_versions
from training.plan import plan
from training.tasks import TASKS


@pytest.fixture(scope="module")
def homes() -> dict[str, Home]:
    return {}


@pytest.fixture
def built(request: pytest.FixtureRequest, homes: dict[str, Home], tmp_path_factory) -> Home:
    """The home of a shop, its features built once."""
    name = request.param
    if name not in homes:
        homes[name] = Home(tmp_path_factory.mktemp(name.replace(" ", "-")) / "home")
        make, days = SHOPS[name]
        bring_in(homes[name], make(), days=days)
        _run("features", "build", home=homes[name], code=0)
    return homes[name]


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("built", [name], indirect=True, ids=[name])


def _run(*command: str, home: Home, code: int) -> Ran:
    ran = regulars(*command, home=home)
    assert ran.code == code, ran.err + ran.out
    assert "Traceback" not in ran.err
    return ran


def _words(ran: Ran) -> str:
    """What was said, without the terminal's line ends."""
    return " ".join(ran.out.split())


def _everything_else_behaves(home: Home, folder: Path) -> None:
    _run("materialize", home=home, code=0)
    has_champion = any(champion_version(home, name) for name in TASKS)
    scored = _run("score", "--output", str(folder / "scores.csv"), home=home, code=0 if has_champion else 2)
    assert has_champion or "there is no champion of any task yet" in scored.err
    _run("status", home=home, code=0)
    watched = regulars("monitor", home=home)
    assert watched.code in ({0, 3} if has_champion else {2}), watched.err
    assert "Traceback" not in watched.err


@of("eighty customers")
def test_eighty_customers_are_enough_to_try(built, tmp_path):
    ran = _run("train", "repurchase", "next_order", "--trials", "0", home=built, code=0)
    assert {v.task for v in read_versions(built)} == {"repurchase", "next_order"}
    assert "is not answered" not in ran.out
    _everything_else_behaves(built, tmp_path)


@of("one order each")
def test_nobody_came_twice(built, tmp_path):
    ran = _run("train", home=built, code=2)
    assert ran.err.count("repeated visits to choose horizons from: needed 30, found 0") == 1
    for name in TASKS:
        assert f"│ {name} │ │ not answered │ not enough data: repeated visits" in _words(ran)
    ran = _run("train", "--horizon-days", "30", "--trials", "0", home=built, code=2)
    assert "churn is not answered: not enough data: past cases of a customer who ordered within the horizon" in ran.err
    assert "clv is not answered: not enough data: past cases of a customer who spent anything" in ran.err
    assert not built.has_tracking
    _everything_else_behaves(built, tmp_path)


def test_two_weeks_are_too_short_for_features(tmp_path):
    home = Home(tmp_path / "home")
    make, days = SHOPS["two weeks"]
    bring_in(home, make(), days=days)
    assert "days of history: needed 28, found 14" in _run("features", "build", home=home, code=2).err
    for command in ("train", "materialize", "serve", "monitor"):
        assert "there is no" in _run(command, home=home, code=2).err
    assert "there is no" in _run("score", "--output", str(tmp_path / "s.csv"), home=home, code=2).err
    _run("status", home=home, code=0)


@of("no churner")
def test_without_a_churner_the_rest_is_trained(built, tmp_path):
    ran = _run("train", "churn", "next_order", "--trials", "0", home=built, code=0)
    assert "churn is not answered: not enough data: past cases of a customer who stayed away" in _words(ran)
    assert {v.task for v in read_versions(built)} == {"next_order"}
    assert "│ churn │ │ not answered │ not enough data" in _words(ran)
    _everything_else_behaves(built, tmp_path)


@of("wholesaler")
def test_a_wholesaler_is_named_and_measured_without(built, tmp_path):
    ran = _run("train", "clv", "--trials", "0", home=built, code=0)
    with tracking.tracked(built) as client:
        (version,) = client.search_model_versions("name = 'regulars-clv'")
        report = tracking.read_report(client, version)
    largest = report["largest_customer"]
    assert 0.3 < largest["share"] < 0.6
    assert f"one customer is {largest['share']:.0%} of what was spent after the test cutoff" in _words(ran)
    assert "one customer is" in version.description
    with_all, without = largest["estimates"], largest["without"]
    assert with_all["mae"]["value"] > without["mae"]["value"]
    # A draw may hold the wholesaler not at all or several times, and the intervals say so.
    assert with_all["mae"]["high"] - with_all["mae"]["low"] > 2 * (without["mae"]["high"] - without["mae"]["low"])
    for measured in (with_all, without):
        assert all(e["low"] <= e["high"] < 1e6 for e in measured.values()), measured
    _everything_else_behaves(built, tmp_path)


@of("three months missing")
def test_three_missing_months_teach_nobody_that_all_went(built, tmp_path):
    lake = Lake(built.lake)
    plans = plan(lake, list(TASKS))
    missing = [at(day) for day in SILENCE]
    assert len(plans.ready) == len(TASKS)
    for planned in plans.ready:
        horizon = planned.horizon.days
        for cutoff in planned.splits.cutoffs:
            assert sum(cutoff <= day < cutoff + horizon * DAY for day in missing) <= 0.1 * horizon
        left = set(snapshot_cutoffs(lake)) - set(planned.splits.cutoffs)
        assert any(cutoff in left for cutoff in snapshot_cutoffs(lake) if at(150) < cutoff < at(241))
    ran = _run("train", "churn", "--trials", "0", home=built, code=0)
    assert "no order from 2024-05-30 to 2024-08-28, 91 days" in _words(ran)
    assert "9 of 27 cutoffs left out" in _words(ran)
    _everything_else_behaves(built, tmp_path)
