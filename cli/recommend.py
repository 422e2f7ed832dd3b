"""`regulars recommend` and `regulars recommender train`: the next products, and how their ranking is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.options import AsOf, Seed, Timeout, Trials, command, instant
from facts.errors import NotYet
from facts.home import Home
from facts.lake import Lake

if TYPE_CHECKING:
    from scoring.recommend import Wish
    from training.registering import Trained

_SHOWN = 3  # products of a customer
app = typer.Typer(help="The ranking behind recommendations.", no_args_is_help=True)


@app.command("train")
def train_command(
    *,
    trials: Trials = 5,
    timeout: Timeout = 120.0,
    seed: Seed = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Train again what these data and settings led to before.")
    ] = False,
) -> None:
    """Learn the ranking, test it on a later night, and register it; it becomes champion if it passes the gate."""
    train(Home.from_environment(), trials=trials, timeout_seconds=timeout, seed=seed, is_forced=force)


@app.command("feed")
def feed_command(
    path: Annotated[Path, typer.Argument(help="A table with the columns id and availability: .csv, .tsv or .parquet.")],
) -> None:
    """Take the shop's product feed: only what it has in stock is recommended; it takes the place of the one before."""
    from facts.feed import take_feed

    count, offered = take_feed(Home.from_environment(), path)
    show.console.print(f"{count:,} products, {offered:,} of them may be offered", highlight=False)


@app.command("categories")
def categories_command(
    *,
    output: Annotated[Path, typer.Option(help="The file to write: .parquet or .csv.")],
    as_of: AsOf = None,
    count: Annotated[int, typer.Option(min=1, help="Categories of each customer, at most.")] = 20,
) -> None:
    """Write the product affinity map: which categories every customer leans to, and when each comes again."""
    from scoring.recommend_batch import map_lake

    home = Home.from_environment()
    _write(
        home, instant(as_of), output,
        lambda night, **told: map_lake(Lake(home.lake), night, output, count=count, **told),
    )  # fmt: skip


def train(home: Home, *, trials: int, timeout_seconds: float, seed: int, is_forced: bool = False) -> Trained:
    """Train the recommender and print what was measured."""
    from training.recommender.pipeline import train_recommender
    from training.trials import Budget

    with show.working("Train the recommender") as step:
        done = train_recommender(
            home,
            budget=Budget(trials=trials, timeout_seconds=timeout_seconds),
            seed=seed,
            on_step=step,
            is_forced=is_forced,
            asked_by=command(),
        )
    if not done.was_trained:
        show.console.print(f"regulars-recommender/{done.version} stands: same data, settings and seed")
    show.ranking(done.report, version=done.version)
    return done


def write_night(home: Home, cutoff: datetime) -> None:
    """Write what recommendations are made of, as of a cutoff; a shop whose orders name no products has none."""
    from features.recommending.night import build_night, drop_night
    from features.recommending.night import write_night as write

    with show.working("What recommendations are made of"):
        night = build_night(Lake(home.lake), cutoff)
        if night.shelf.product_count:
            write(home, night)
        else:
            drop_night(home)
    show.console.print(
        f"{night.shelf.product_count:,} products, {len(night.histories.customer_ids):,} customers with baskets",
        highlight=False,
    )


def show_some(home: Home, customers: Sequence[str]) -> None:
    """Print what the champion recommends to some customers now."""
    from features.lake_events import read_events
    from features.live import REACH
    from features.recommending.asking import ASKING_EVENTS, ask
    from features.recommending.night import read_night
    from scoring.recommend import Wish, explain
    from scoring.recommend import recommend as choose
    from serving.champions import find_recommender
    from serving.clock import Clock

    ranker, night, lake = find_recommender(home), read_night(home), Lake(home.lake)
    if ranker is None:
        return
    at = Clock.of(lake.shop()).now()
    events = read_events(lake, customers, names=ASKING_EVENTS, since=at - REACH, until=at)
    asked = ask(night, customers, events, at=at)
    lists = choose(night, ranker, asked, Wish(count=_SHOWN))
    chosen = zip(lists.customer.tolist(), lists.product.tolist(), explain(night, asked, lists), strict=True)
    rows = [(customers[customer], night.catalog.called(product), why.reason) for customer, product, why in chosen]
    show.table(f"Recommended as of {at:%Y-%m-%d %H:%M} UTC", ["customer", "product", "because"], rows)


def recommend(home: Home, *, as_of: datetime | None, output: Path, wish: Wish) -> None:
    """Recommend products to every customer as of an instant, into a file."""
    from scoring.recommend_batch import recommend_lake
    from serving.champions import find_recommender

    ranker = find_recommender(home)
    if ranker is None:
        raise NotYet("champion of the recommender", advice="run `regulars recommender train` first")
    _write(
        home, as_of, output, lambda night, **told: recommend_lake(Lake(home.lake), night, ranker, output, wish, **told)
    )


def _write(home: Home, as_of: datetime | None, output: Path, write: Callable[..., int]) -> None:
    """Write a file of what was known as of an instant; `write` takes the night, `as_of` and `on_chunk`."""
    from features.recommending.night import as_the_feed_has_it, build_night
    from features.snapshots import last_cutoff
    from scoring.batch import require_output
    from serving.clock import Clock

    require_output(output)
    lake = Lake(home.lake)
    at = Clock.of(lake.shop(), as_of=as_of).now()
    with show.working("Recommend") as step:
        step("what was known")
        night = build_night(lake, last_cutoff(lake, as_of=at))  # as `materialize` writes it
        if as_of is None:  # the feed is of now
            night = as_the_feed_has_it(home, night)
        done = write(night, as_of=at, on_chunk=lambda so_far: step(f"{so_far:,} customers"))
    show.console.print(f"{done:,} customers as of {at:%Y-%m-%d %H:%M} UTC -> {output}", highlight=False)
