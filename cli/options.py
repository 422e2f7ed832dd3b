"""Options that several commands share."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

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
Device = Annotated[str, typer.Option(help="Where XGBoost trains: cpu, or cuda for a GPU.")]


def command() -> str:
    """Return the command that runs, without its options (they may hold a password); nothing where none does."""
    return next((f"`regulars {word}`" for word in sys.argv[1:2] if word.isalpha()), "")
