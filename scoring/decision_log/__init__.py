"""What the endpoint answered, kept so that it can be held against what customers then did.

A file in the home by default, apart from the service that writes it and the monitoring that reads it.
"""

from __future__ import annotations

import os
from pathlib import Path

from facts.errors import RegularsError
from facts.home import Home
from scoring.decision_log.in_sqlite import SqliteDecisions
from scoring.decision_log.records import Decision, DecisionLog, DecisionLogFailed

__all__ = [
    "DECISION_LOG",
    "DECISION_LOG_DAYS",
    "KEPT_DAYS",
    "OFF",
    "BadSetting",
    "Decision",
    "DecisionLog",
    "DecisionLogFailed",
    "has_decision_log",
    "is_decision_log_on",
    "kept_days_from_environment",
    "open_decision_log",
]

DECISION_LOG, OFF = "REGULARS_DECISION_LOG", "off"
DECISION_LOG_DAYS = "REGULARS_DECISION_LOG_DAYS"
KEPT_DAYS = 400  # the longest horizon that is chosen by itself, a year, and a month to look at it


class BadSetting(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A setting that says nothing that is known."""


def open_decision_log(home: Home) -> DecisionLog:
    """Open the decision log of a home, a new one where there is none.

    Raises
    ------
    DamagedFile
        The file is no SQLite database.
    DecisionLogFailed
        It cannot be opened.
    """
    return SqliteDecisions.open(_file(home))


def has_decision_log(home: Home) -> bool:
    """Return whether anything was ever kept; opening a log that is not there would make it."""
    return _file(home).is_file()


def _file(home: Home) -> Path:
    return home.folder / "decisions.db"


def is_decision_log_on() -> bool:
    """Return whether answers are kept: not where `REGULARS_DECISION_LOG` is `off`; raise BadSetting at other words."""
    told = os.environ.get(DECISION_LOG, "")
    if told not in {"", OFF}:
        raise BadSetting(f"{DECISION_LOG} is {told!r}; set it to {OFF}, or to nothing for a file in the home")
    return told != OFF


def kept_days_from_environment() -> int:
    """Return for how many days answers are kept; raise BadSetting where the setting is no whole number above zero."""
    told = os.environ.get(DECISION_LOG_DAYS) or str(KEPT_DAYS)
    if not (told.isdecimal() and int(told)):
        raise BadSetting(f"{DECISION_LOG_DAYS} is {told!r}, not a number of days such as {KEPT_DAYS}")
    return int(told)
