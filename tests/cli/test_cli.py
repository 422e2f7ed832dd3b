"""The command line: help everywhere, and bad input answered in one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from cli.main import app
from tests.processes import cold
from training.monitoring import Thresholds


def _commands(group: TyperGroup, *names: str) -> list[list[str]]:
    """Return the names that lead to a group and to every command in it."""
    found = [list(names)]
    for name, command in group.commands.items():
        found += _commands(command, *names, name) if isinstance(command, TyperGroup) else [[*names, name]]
    return found


COMMANDS = _commands(get_command(app))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "regulars")
def test_every_command_has_help(empty_home, command):
    ran = cold(*command, "--help", home=empty_home)
    assert ran.code == 0
    assert "Usage:" in ran.out
    assert len(ran.out.splitlines()) > 5
    assert not empty_home.folder.exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["train", "repurchas"], "no task named 'repurchas'; did you mean 'repurchase'?"),
        (["ingest", "complete-jurney"], "no such command 'complete-jurney'; did you mean 'complete-journey'?"),
        (["features", "show", "oders_7d"], "no feature named 'oders_7d'; did you mean 'order_count_7d'?"),
        (["features", "list", "--theme", "ryhthm"], "no theme named 'ryhthm'; did you mean 'rhythm'?"),
        (["score", "--output", "/nowhere/x.parquet"], "there is no folder /nowhere"),
        (["score", "--output", "scores.xls"], "its name ends in '.xls'; known: .parquet, .csv"),
        (["score", "--output", "scores.parquet"], "there is no lake yet; run `regulars ingest complete-journey`"),
        (["train", "--trials", "-1"], "invalid value for '--trials': Input should be greater than or equal to 0"),
        (["train", "--trails", "3"], "no such option: --trails"),
        (["score"], "missing option '--output'; `"),
        (["quarantine", "orders"], "got unexpected extra argument"),
        (["ingest", "table", "nofile.csv", "--mapping", "shopify"], "nofile.csv: there is no such file"),
        (["score", "--as-of", "soon", "--output", "x.parquet"], "'soon' is not an instant"),
        (["train"], "there is no lake yet"),
        (["features", "build"], "there is no lake yet"),
        (["materialize"], "there is no lake yet"),
        (["serve"], "there is no lake yet"),
        (["status"], "there is no lake yet"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(run_regulars, empty_home, command, said):
    ran = run_regulars(*command, home=empty_home)
    assert ran.code == 2
    (sentence,) = ran.err.splitlines()
    assert sentence.startswith("error: ")
    assert said in sentence
    assert "Traceback" not in ran.err + ran.out
    assert not Path("scores.parquet").exists()


def test_the_thresholds_on_the_command_line_are_those_of_the_room():
    options = {option.name: option.default for option in get_command(app).commands["monitor"].params}
    assert options == {"tasks": None} | asdict(Thresholds())
