"""Which version was champion when, over a real MLflow store of versions without files."""

from __future__ import annotations

import json
import multiprocessing

import mlflow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facts.errors import NotYet, UnknownName
from facts.home import Home
from scoring.registry import ALIAS, champion_version
from training import reign, tracking

NAME = "regulars-churn"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("reign") / "home")
    with tracking.tracked(home) as client:
        client.create_registered_model(NAME)
    return home


@pytest.fixture
def home(store):
    """Three versions, none of which was ever champion."""
    anew(store)
    return store


def anew(store):
    client = mlflow.MlflowClient(store.tracking_uri, store.tracking_uri)
    client.delete_registered_model(NAME)
    client.create_registered_model(NAME)
    for _ in range(3):
        client.create_model_version(NAME, store.artifacts.as_uri())


def crown(home, version):
    with tracking.tracked(home) as client:
        reign.crown(client, NAME, version, by=reign.BY_GATE, reason="it passed")


def test_who_was_champion_when_can_be_read(home):
    for version in "121":
        crown(home, version)
    told = reign.reigns(home, "churn")
    assert [held.version for held in told] == ["1", "2", "1"]
    assert [held.until for held in told[:-1]] == [held.since for held in told[1:]]
    assert told[-1].until is None
    assert champion_version(home, "churn") == "1"


def test_by_hand_any_version_becomes_champion_and_the_one_before_again(home):
    crown(home, "1")
    assert reign.promote(home, "churn", "3", reason="a test") == "1"
    assert champion_version(home, "churn") == "3"
    assert reign.rollback(home, "churn", reason="it was one") == ("3", "1")
    assert champion_version(home, "churn") == "1"
    assert [(held.version, held.reason) for held in reign.reigns(home, "churn")[1:]] == [
        ("3", "a test"),
        ("1", "it was one"),
    ]
    assert all(held.by.endswith("by hand") for held in reign.reigns(home, "churn")[1:])


def test_the_champion_promoted_again_reigns_on(home):
    crown(home, "2")
    assert reign.promote(home, "churn", "2", reason="again") == "2"
    assert len(reign.reigns(home, "churn")) == 1


def test_what_there_is_not(home):
    with pytest.raises(UnknownName, match="no version of regulars-churn named '7'"):
        reign.promote(home, "churn", "7", reason="a test")
    crown(home, "1")
    with pytest.raises(reign.NoneBefore, match=r"no champion of churn before regulars-churn/1 .* `regulars promote`"):
        reign.rollback(home, "churn", reason="a test")


def test_without_a_champion_there_is_nothing_to_roll_back(home):
    with pytest.raises(NotYet, match="no champion of churn yet"):
        reign.rollback(home, "churn", reason="a test")


@pytest.mark.parametrize("reason", ["", " \t\n"])
def test_a_move_by_hand_says_why(home, reason):
    crown(home, "1")
    crown(home, "2")
    with pytest.raises(reign.ReasonMissing, match="say with --reason why"):
        reign.promote(home, "churn", "3", reason=reason)
    with pytest.raises(reign.ReasonMissing, match="say with --reason why"):
        reign.rollback(home, "churn", reason=reason)
    assert champion_version(home, "churn") == "2"


def back(home):
    return reign.rollback(home, "churn", reason="it was better")


def test_rollbacks_walk_back_until_there_is_none(home):
    for version in "123":
        crown(home, version)
    assert back(home) == ("3", "2")
    assert back(home) == ("2", "1")
    for _ in range(2):
        with pytest.raises(reign.NoneBefore):
            back(home)
    assert champion_version(home, "churn") == "1"
    assert [held.version for held in reign.reigns(home, "churn")] == list("12321")


@settings(max_examples=10, deadline=None, derandomize=True)
@given(moves=st.lists(st.sampled_from(["1", "2", "3", "back"]), max_size=8))
def test_a_rollback_undoes_the_last_move_that_was_not_undone(store, moves):
    anew(store)
    standing: list[str] = []
    for move in moves:
        if move != "back":
            reign.promote(store, "churn", move, reason="a test")
            standing += [move] if standing[-1:] != [move] else []
        elif len(standing) > 1:
            assert back(store) == (standing.pop(), standing[-1])
        else:
            with pytest.raises(reign.NoneBefore if standing else NotYet):
                back(store)
        assert champion_version(store, "churn") == (standing[-1] if standing else None)


@pytest.mark.parametrize("by", ["gate", "hand"])
def test_what_follows_a_rollback_is_rolled_back_to_it(home, by):
    crown(home, "1")
    crown(home, "2")
    back(home)
    if by == "gate":
        crown(home, "3")
    else:
        reign.promote(home, "churn", "3", reason="a test")
    assert back(home) == ("3", "1")


def test_a_version_that_was_rolled_back_from_and_deleted_changes_nothing(home):
    for version in "123":
        crown(home, version)
    back(home)
    with tracking.tracked(home) as client:
        client.delete_model_version(NAME, "3")
    assert back(home) == ("2", "1")


def test_a_rollback_that_was_stopped_half_way_does_not_return(home):
    """The alias was moved to 2 and its reign not written."""
    for version in "123":
        crown(home, version)
    with tracking.tracked(home) as client:
        client.set_registered_model_alias(NAME, ALIAS, "2")
    assert back(home) == ("2", "1")
    with pytest.raises(reign.NoneBefore):
        back(home)


def test_a_history_of_before_rollbacks_were_marked_reads(home):
    """All moves by hand had the same words."""
    began = [{"since": f"2026-01-0{day}T00:00:00+00:00", "until": None, "by": "ana, by hand"} for day in (1, 2)]
    with tracking.tracked(home) as client:
        for version, told in zip("12", began, strict=True):
            client.set_model_version_tag(NAME, version, reign.TAG, json.dumps([told | {"reason": "a test"}]))
        client.set_registered_model_alias(NAME, ALIAS, "2")
    assert [held.version for held in reign.reigns(home, "churn")] == ["1", "2"]
    assert back(home) == ("2", "1")


def _open_store(home, barrier, found):
    barrier.wait(60)
    with tracking.tracked(home) as client:
        found.put(client.create_experiment(multiprocessing.current_process().name))


def test_processes_that_make_the_store_at_once_share_it(tmp_path):
    home, context = Home(tmp_path / "home"), multiprocessing.get_context("spawn")
    barrier, found = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_open_store, args=(home, barrier, found)) for _ in range(2)]
    for process in processes:
        process.start()
    assert len({found.get(timeout=90) for _ in processes}) == 2
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    with tracking.tracked(home) as client:
        assert len(client.search_experiments()) == 3  # MLflow's own beside them


def test_a_home_without_models_has_no_history_and_stays_so(tmp_path):
    home = Home(tmp_path / "home")
    assert reign.reigns(home, "churn") == []
    assert not home.folder.exists()


def test_a_move_that_was_stopped_half_way_is_put_right_by_the_next(home):
    """Two versions say that they reign: the reign of the one before was not ended."""
    crown(home, "1")
    with tracking.tracked(home) as client:
        began = client.get_model_version(NAME, "1").tags[reign.TAG]
        client.set_model_version_tag(NAME, "2", reign.TAG, began)
    crown(home, "3")
    assert {held.version for held in reign.reigns(home, "churn") if held.until is None} == {"3"}
