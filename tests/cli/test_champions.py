"""Champions by hand on the command line, over a real MLflow store of versions without files."""

from __future__ import annotations

import re

import pytest

from scoring.registry import champion_version
from training import reign, tracking

NAME = "regulars-churn"


@pytest.fixture
def home(empty_home):
    """Three versions, champions one after the other."""
    with tracking.tracked(empty_home) as client:
        client.create_registered_model(NAME)
        for _ in range(3):
            version = client.create_model_version(NAME, empty_home.artifacts.as_uri()).version
            reign.crown(client, NAME, str(version), by=reign.BY_GATE, reason="it passed")
    return empty_home


def test_rollbacks_walk_back_and_the_history_tells_it(run_regulars, home):
    for version in "21":
        ran = run_regulars("rollback", "churn", "--reason", "worse", home=home)
        assert (ran.code, champion_version(home, "churn")) == (0, version)
    refused = run_regulars("rollback", "churn", "--reason", "worse", home=home)
    assert (refused.code, champion_version(home, "churn")) == (2, "1")
    assert "no champion of churn before regulars-churn/1" in refused.err
    assert "`regulars promote` decides" in refused.err
    told = run_regulars("champions", "churn", home=home).out
    assert re.findall(rf"{NAME}/(\d)", told) == list("12321")


def test_the_history_says_in_which_zone_its_times_are(run_regulars, home):
    told = run_regulars("champions", home=home).out
    times = [(held.since, held.until) for held in reign.reigns(home, "churn")]
    ends = [end for both in times for end in both if end is not None]
    assert len(re.findall(r"\d\d:\d\d", told)) == len(ends)
    assert all(f"{end:%Y-%m-%d %H:%M} UTC" in told for end in ends)


def test_without_models_there_is_no_history_and_nothing_is_made(run_regulars, empty_home):
    assert "no version was ever champion" in run_regulars("champions", home=empty_home).out
    assert not empty_home.folder.exists()
