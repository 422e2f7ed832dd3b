"""Tables for the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from facts.errors import DamagedFile, NotYet
from facts.home import Home
from facts.lake import Lake, Shop

if TYPE_CHECKING:
    from facts.ingest import Ingested
    from features.build import Built
    from training.plan import Unanswered
    from training.registering import Trained
    from training.silences import Silence

PIPE_WIDTH = 150
_DECILE_MEASURES = ("observed", "lift", "cumulative_gain_rate")

console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


@contextmanager
def working(what: str) -> Iterator[Any]:
    """Show a bar with the time passed while something long runs; yields a function that renames the step."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(what, total=None)

        def step(description: str, done: int | None = None, total: int | None = None) -> None:
            progress.update(bar, description=f"{what}: {description}", completed=done or 0, total=total)

        yield step


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `right` are figures."""
    console.print(title, style="bold", highlight=False)
    drawn = Table()
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*[_cell(value) for value in row])
    console.print(drawn)


def ingested(done: Ingested) -> None:
    """Print what came in, table by table, and what broke which rule."""
    shop = done.shop
    table(
        f"{shop.name}: {_period(shop)}, {shop.currency}, {shop.timezone}",
        ["table", "received", "kept", "quarantined"],
        [(name, received, done.kept[name], received - done.kept[name]) for name, received in done.received.items()],
        right=["received", "kept", "quarantined"],
    )
    if done.breaches:
        meaning = {"quarantine": "set aside", "flag": "kept, counted"}
        rows = [(name, rule, meaning[breach], count) for (name, rule, breach), count in done.breaches.items()]
        table("Rules that were broken", ["table", "rule", "what was done", "rows"], rows, right=["rows"])
    changed = [f"{count:,} {what}" for what, count in done.orders.items() if count]
    console.print(f"orders: {', '.join(changed)}", highlight=False)
    for note in done.notes:
        console.print(f"note: {note}", highlight=False)


def built(done: Built, *, zone: str) -> None:
    """Print the snapshots that stand."""
    first, last = (day_of(cutoff, zone) for cutoff in (done.cutoffs[0], done.cutoffs[-1]))
    figures = (len(done.names), len(done.cutoffs), first, last, done.stored.rows)
    table(
        "Snapshots",
        [
            "features",
            "cutoffs",
            "from",
            "to",
            "customer-cutoffs",
            "cutoffs computed now",
            "customer-cutoffs computed again",
        ],
        [(*figures, len(done.computed), sum(done.touched.values()))],
        right=["features", "cutoffs", "customer-cutoffs", "cutoffs computed now", "customer-cutoffs computed again"],
    )


def measured(report: Mapping[str, Any], *, version: str, zone: str) -> None:
    """Print what was measured of a version on the test cutoff, beside its baselines."""
    estimates = report["estimates"]
    metrics = list(next(iter(estimates.values())))
    rows = [[metric, *[_estimate(measures[metric]) for measures in estimates.values()]] for metric in metrics]
    rows += [[name, _estimate(found), *[""] * (len(estimates) - 1)] for name, found in report["interval"].items()]
    tested = day_of(datetime.fromisoformat(report["test_cutoff"]), zone)
    title = (
        f"regulars-{report['task']}/{version}: next {report['horizon_days']} days, "
        f"tested on {tested}, {report['test_rows']:,} customers, 95 % intervals"
    )
    table(title, ["metric", *estimates], rows, right=list(estimates))
    deciles = [
        [row["decile"], f"{row['mean_predicted']:.4g}", *[_interval(row, name) for name in _DECILE_MEASURES]]
        for row in report["deciles"]
    ]
    table("By decile of the prediction", ["decile", "predicted", *_DECILE_MEASURES], deciles, right=_DECILE_MEASURES)
    _show_groups(report["groups"])
    if potential := report["potential"]:
        console.print(
            f"{potential['said']}" + ("" if potential["holds"] else "; not beyond noise: nobody is flagged"),
            highlight=False,
        )
    console.print(f"{report['horizon_days']} days because {report['horizon_reason']}", highlight=False)
    style = "green" if report["is_champion"] else "yellow"
    for line in report["verdict"]:
        console.print(line, style=style, highlight=False)
    for note in report.get("notes", []):  # versions of before had none
        console.print(f"note: {note}", highlight=False)


_SIDE_EFFECTS = {
    "repeat_share": "share bought before, first 10",
    "catalogue_coverage": "share of all products in any list",
    "novelty": "novelty (bits)",
}


def ranking(report: Mapping[str, Any], *, version: str) -> None:
    """Print what was measured of a version of the recommender on the test night, beside its baselines."""
    methods = report["metrics"]
    metrics = list(next(iter(methods.values()))["all"])
    rows = [
        [metric if part == "all" else f"{metric}, {part}", *[_triple(of[part][metric]) for of in methods.values()]]
        for part in next(iter(methods.values()))
        for metric in metrics
        if part == "all" or metric == "recall_at_10"
    ]
    for name, said in _SIDE_EFFECTS.items():
        rows.append([said, *[f"{of[name]:.4g}" for of in report["side_effects"].values()]])
    title = (
        f"regulars-recommender/{version}: next basket within {report['wait_days']} days, tested on the night of "
        f"{report['cutoffs'][-1][:10]}, {report['test_customers']:,} customers, 95 % intervals"
    )
    table(title, ["metric", *methods], rows, right=list(methods))
    verdict = "champion" if report["is_champion"] else "refused"
    console.print(
        f"{verdict}: {report['reason']}", style="green" if report["is_champion"] else "yellow", highlight=False
    )


def silences(found: Sequence[Silence]) -> None:
    """Print when the shop was silent."""
    for silence in found:
        console.print(
            f"{silence}: what is learned leaves these days out, as they say nothing of the customers", highlight=False
        )


def answered(
    names: Sequence[str],
    trained: Sequence[Trained],
    unanswered: Sequence[Unanswered],
    champions: Mapping[str, str | None],
) -> None:
    """Print what became of every task that was asked for, then a sentence for each that is not answered."""
    became = {done.task: (done.version, _became(done), done.reason) for done in trained}
    became |= {found.task: ("", "not answered", str(found.why)) for found in unanswered}
    rows = [(name, *became[name], f"version {champions[name]}" if champions[name] else "none") for name in names]
    table("What is answered", ["task", "version", "is", "because", "champion now"], rows)
    for found in unanswered if trained else ():  # where nothing is trained, the error says it
        console.print(str(found), style="yellow", highlight=False)


def _became(done: Trained) -> str:
    if done.is_champion:
        return "champion"
    return "passed its gate before" if done.report["is_champion"] else "refused by the gate"


def _show_groups(groups: Sequence[Mapping[str, Any]]) -> None:
    if groups:
        names = list(groups[0]["estimates"])
        rows = [
            [f"{g['group']}: {g['said']}", g["rows"], f"{g['mean_predicted']:.4g}", f"{g['mean_actual']:.4g}"]
            + [_estimate(g["estimates"][name]) for name in names]
            for g in groups
        ]
        head = ["group", "customers", "predicted", "observed", *names]
        table("Where it may be weaker", head, rows, right=head[1:])


def status(home: Home) -> list[DamagedFile]:
    """Print what stands in a home; return what is damaged, which keeps the rest from nobody."""
    lake = Lake(home.lake)
    shop = lake.shop()
    console.print(f"home {home.folder}", highlight=False)
    table(
        f"{shop.name} ({shop.source}), {_period(shop)}, clock: {shop.clock}",
        ["table", "rows", "file"],
        [(name, stored.rows, stored.file) for name, stored in lake.listed().items()],
        right=["rows"],
    )
    damages = list(lake.damages())
    for show in (_show_snapshots, _show_online, _show_models):
        try:
            show(home)
        except DamagedFile as damage:
            damages.append(damage)
    return damages


def _show_snapshots(home: Home) -> None:
    from features.snapshots import snapshot_cutoffs

    try:
        cutoffs = snapshot_cutoffs(Lake(home.lake))
    except NotYet as missing:
        console.print(str(missing))
    else:
        console.print(
            f"snapshots at {len(cutoffs)} cutoffs, the last {cutoffs[-1]:%Y-%m-%d %H:%M} UTC", highlight=False
        )


def _show_online(home: Home) -> None:
    from features.materialize import materialized_cutoff

    held = materialized_cutoff(home)
    said = f"features as of {held:%Y-%m-%d %H:%M} UTC" if held else "empty; run `regulars materialize`"
    console.print(f"online store: {said}", highlight=False)


def _show_models(home: Home) -> None:
    from scoring.registry import champion_version
    from training.pipeline import read_versions
    from training.reign import MODELS

    champions = {name: champion_version(home, name) for name in MODELS}
    versions = read_versions(home) if home.has_tracking else []
    rows = [
        (
            f"regulars-{v.task}/{v.version}",
            "champion" if champions[v.task] == v.version else "",
            v.verdict,
            v.horizon_days,
            v.reason,
            v.asked_by,
        )
        for v in versions
    ]
    if rows:
        columns = ["version", "alias", "verdict", "horizon (days)", "because", "asked by"]
        table("Models", columns, rows, right=["horizon (days)"])
    else:
        console.print("no model yet; run `regulars train`")


def _triple(estimate: Sequence[float]) -> str:
    value, low, high = estimate
    return _estimate({"value": value, "low": low, "high": high})


def _interval(row: Mapping[str, float], name: str) -> str:
    return _estimate({"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]})


def day_of(instant: datetime, zone: str) -> str:
    """Return the day of an instant on the clock of a zone."""
    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d}"


def _period(shop: Shop) -> str:
    return f"{day_of(shop.observed_from, shop.timezone)} to {day_of(shop.observed_until, shop.timezone)}"


def _estimate(measured: Mapping[str, float]) -> str:
    from training.metrics import Estimate

    return str(Estimate(**measured))


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:,}" if isinstance(value, int) else str(value)
