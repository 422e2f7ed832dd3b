"""`regulars features`: what is known about each customer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facts.errors import NotYet, UnknownName
from facts.home import Home
from facts.lake import Lake

app = typer.Typer(help="What is known about each customer.", no_args_is_help=True)


@app.command("build")
def build(
    *,
    step_days: Annotated[
        int | None, typer.Option(min=1, help="Days between two cutoffs; by default 14, and a new day adds its own.")
    ] = None,
    engine: Annotated[str, typer.Option(help="What computes them: duckdb, or spark (extra `spark`).")] = "duckdb",
) -> None:
    """Compute the feature snapshots at a series of cutoffs up to the end of the data, and register them with Feast.

    Snapshots that stand are left alone; customers of whom something came late are computed again.
    """
    from cli import steps

    steps.build_features(Home.from_environment(), step_days=step_days, engine=engine)


@app.command("list")
def list_(
    *,
    theme: Annotated[str | None, typer.Option(help="Only the features of this theme.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write a page of all features (.md) instead.")] = None,
) -> None:
    """Show every feature with its unit, window and description, and what the shop's last snapshot shows of it."""
    from cli import show
    from features.catalog import THEMES
    from features.profile import COLUMNS, EVERY, described, page, ranges

    themes = {**THEMES, "live": "This minute"}
    if theme is not None and theme not in themes:
        raise UnknownName("theme", theme, known=list(themes))
    lake = Lake(Home.from_environment().lake)
    try:
        known, shop = ranges(lake), lake.shop().name
    except NotYet:
        known, shop = {}, "any shop"
    if output is not None:
        output.write_text(page(known, shop=shop), encoding="utf-8")
        show.console.print(f"{len(EVERY)} features -> {output}", highlight=False)
        return
    rows = described([f for f in EVERY if theme in (None, f.theme)], known)
    show.table(f"{len(rows)} features, ranges of {shop}" if known else f"{len(rows)} features", COLUMNS, rows)


@app.command("show")
def show_one(name: Annotated[str, typer.Argument(help="The feature's name.")]) -> None:
    """Show one feature."""
    from cli import show
    from features.profile import COLUMNS, EVERY, described, ranges

    known = {feature.name: feature for feature in EVERY}
    if name not in known:
        raise UnknownName("feature", name, known=list(known), hint=f"`regulars features list` shows all {len(EVERY)}")
    try:
        measured = ranges(Lake(Home.from_environment().lake))
    except NotYet:
        measured = {}
    show.table(name, COLUMNS, described([known[name]], measured))
