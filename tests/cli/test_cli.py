"""The command line: help everywhere, and bad input answered in one sentence, exit code 2, nothing half-written."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from cli.main import app
from facts.home import PROJECT
from tests.processes import cold
from training.monitoring import Thresholds


def _commands(group: TyperGroup, *names: str) -> list[list[str]]:
    """Return the names that lead to a group and to every command in it."""
    found = [list(names)]
    for name, command in group.commands.items():
        found += _commands(command, *names, name) if isinstance(command, TyperGroup) else [[*names, name]]
    return found


COMMANDS = _commands(get_command(app))
README = (PROJECT / "README.md").read_text("utf-8")


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
        (["train", "--seed", "-1"], "invalid value for '--seed': Input should be greater than or equal to 0"),
        (["train", "--seed", "2147483648"], "'--seed': Input should be less than or equal to 2147483647"),
        (["score"], "missing option '--output'; `"),
        (["promote", "churn", "1", "--reason", ""], "the reason is empty; say with --reason why"),
        (["rollback", "churn", "--reason", "  "], "the reason is empty; say with --reason why"),
        (["rollback", "churn", "--reason", "worse"], "there is no champion of churn yet; `regulars promote`"),
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


@pytest.mark.parametrize("command", [command for command in COMMANDS if command], ids=" ".join)
def test_the_readmes_table_names_what_a_command_must_have(command):
    found = get_command(app)
    for name in command:
        found = found.commands[name]
    needed = [option.opts[0] for option in found.params if option.required and option.opts[0].startswith("--")]
    named = re.findall(rf"^\| .*?`({' '.join(command)}\b[^`]*)`.*? \|", README, re.MULTILINE)
    assert isinstance(found, TyperGroup) or any(all(option in row for option in needed) for row in named), needed


def test_the_thresholds_on_the_command_line_are_those_of_the_room():
    options = {option.name: option.default for option in get_command(app).commands["monitor"].params}
    assert options == {"tasks": None} | asdict(Thresholds())
