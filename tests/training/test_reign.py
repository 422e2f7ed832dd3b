"""Which version was champion when, over a real MLflow store of versions without files."""

from __future__ import annotations

import mlflow
import pytest

from facts.errors import NotYet, UnknownName
from facts.home import Home
from scoring.registry import champion_version
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
    client = mlflow.MlflowClient(store.tracking_uri, store.tracking_uri)
    client.delete_registered_model(NAME)
    client.create_registered_model(NAME)
    for _ in range(3):
        client.create_model_version(NAME, store.artifacts.as_uri())
    return store


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
    with pytest.raises(NotYet, match="no earlier champion of churn yet"):
        reign.rollback(home, "churn", reason="a test")


def test_a_move_that_was_stopped_half_way_is_put_right_by_the_next(home):
    """Two versions say that they reign: the reign of the one before was not ended."""
    crown(home, "1")
    with tracking.tracked(home) as client:
        began = client.get_model_version(NAME, "1").tags[reign.TAG]
        client.set_model_version_tag(NAME, "2", reign.TAG, began)
    crown(home, "3")
    assert {held.version for held in reign.reigns(home, "churn") if held.until is None} == {"3"}
