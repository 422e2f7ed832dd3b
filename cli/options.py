"""Options that several commands share."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from facts.errors import RegularsError
from facts.home import Home

Tasks = Annotated[list[str] | None, typer.Argument(help="repurchase, churn, clv, next_order, or all (the default).")]
HorizonDays = Annotated[
    int | None, typer.Option(min=1, help="How far to look ahead; by default the shop's own gaps decide.")
]
Trials = Annotated[int, typer.Option(min=0, help="How many trials the search of a task may make; 0 takes defaults.")]
Timeout = Annotated[float, typer.Option(min=0, help="Seconds after which a task's search starts no new trial.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed over the same data gives the same model.")]
Rows = Annotated[
    int | None,
    typer.Option(
        min=1, help="Customer-cutoffs to learn from at most, by default 400,000: of more, customers are sampled."
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, help="Processes that search at once; only one gives the same search each time.")
]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="REGULARS_SEARCH_STORAGE",
        show_envvar=True,
        help="postgresql://user@host/database: every machine that trains the same with it shares the search.",
    ),
]
AsOf = Annotated[str | None, typer.Option(help="The instant to answer for; by default the shop's now.")]
Device = Annotated[str, typer.Option(help="Where XGBoost trains: cpu, or cuda for a GPU.")]


class BadInstant(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A text on the command line that is not an instant."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not an instant; write 2017-09-25 or 2017-09-25T04:00:00Z")


def command() -> str:
    """Return the command that runs, without its options (they may hold a password); nothing where none does."""
    return next((f"`regulars {word}`" for word in sys.argv[1:2] if word.isalpha()), "")


def instant(text: str | None) -> datetime | None:
    """Return an aware instant; a date or time without an offset is on the shop's own clock."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInstant(text) from None
    if found.tzinfo is None:
        from facts.lake import Lake

        found = found.replace(tzinfo=ZoneInfo(Lake(Home.from_environment().lake).shop().timezone))
    return found.astimezone(UTC)
