"""Next baskets foretold by this project and by published methods, in one run, with intervals.

`python -m benchmarks.recommender --baskets FILE --future FILE` reads basket lists (`facts/basket_lists.py`); without
`--future` the last basket of every customer is foretold, and without any file those of Complete Journey.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.figures import GIGABYTE
from benchmarks.peers import peak_memory_bytes
from benchmarks.recommender.run import DISCOVER, Ours, Outcome, in_time, measure, of_last_baskets
from facts.basket_lists import read_basket_lists
from facts.baskets import Baskets, read_baskets
from facts.errors import RegularsError
from facts.ingest import ingest, read_source
from facts.lake import Lake
from training.metrics import Estimate
from training.metrics.ranking import LENGTHS, RANKING_METRICS
from training.recommender.evaluation import PARTS
from training.recommender.nights import plan_nights
from training.recommender.questions import last_baskets

PIPE_WIDTH = 200


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask everyone, and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommender", description=__doc__)
    parser.add_argument("--baskets", type=Path, help="basket lists to learn from")
    parser.add_argument("--future", type=Path, help="the baskets to foretell")
    parser.add_argument("--output", type=Path, help="a file to write the tables into, as Markdown")
    asked = parser.parse_args(arguments)
    console, started = Console(stderr=True), time.monotonic()

    def on_step(said: str) -> None:
        console.print(f"{time.monotonic() - started:5.0f} s  {said}", highlight=False)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            said = [line for split in _splits(asked, on_step) for line in _tables(*split)]
        except RegularsError as error:
            parser.exit(1, f"{error}\n")
    seconds, gigabytes = time.monotonic() - started, peak_memory_bytes() / GIGABYTE
    name = asked.baskets.name if asked.baskets else "Complete Journey"
    took = f"Took {seconds:.0f} s, at most {gigabytes:.1f} GB, on {os.cpu_count()} cores."
    report = "\n".join([f"# Next baskets of {name}", "", *_contents(), took, "", *said])
    if asked.output:
        asked.output.write_text(f"{report}\n", encoding="utf-8")
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(Markdown(report))


def _splits(asked: argparse.Namespace, on_step: Callable[[str], None]) -> Iterator[tuple[str, Sequence[Outcome]]]:
    """Yield what is foretold, and what came of it."""

    def told(name: str, past: Baskets, future: Baskets, ours: Ours) -> tuple[str, Sequence[Outcome]]:
        of = f"{len(set(future.customer.tolist())):,} customers, {len(past.product_ids):,} products"
        return f"{name}: {of}", measure(past, future, ours, on_step=on_step)

    def last(past: Baskets, future: Baskets) -> tuple[str, Sequence[Outcome]]:
        on_step("last baskets")
        return told("The last basket of every customer", past, future, of_last_baskets(past))

    if asked.baskets:
        yield last(*read_basket_lists(asked.baskets, asked.future))
        return
    with tempfile.TemporaryDirectory(prefix="regulars-recommender-") as work:
        lake = Lake(Path(work) / "lake")
        ingest(read_source("complete-journey"), lake, mode="replace")
        yield last(*last_baskets(read_baskets(lake, lake.shop().observed_until)))
        on_step("nights")
        plan = plan_nights(lake.shop())
        yield told(f"The first basket within {plan.wait.days} days of {plan.test:%-d %B %Y}", *in_time(lake))


def _contents() -> tuple[str, ...]:
    return (
        "Each figure is the mean over customers with its 95 % bootstrap interval; by how much one is ahead, that",
        f"of the differences. `{PARTS[1]}` and `{PARTS[2]}`: how much of either part of the basket one list holds.",
        "Lists of new products alone are what `discover` answers; each method may leave out what a customer had.",
        "",
    )


def _tables(title: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of a split: every part of the basket at every length, then by how much the last is ahead."""
    *peers, ours = outcomes
    yield from (f"## {title}", "")
    for part in (*PARTS, DISCOVER):
        estimates = [outcome.estimates(part) for outcome in outcomes]
        for length in LENGTHS:
            yield from _table(f"{part.capitalize()}, first {length}", length, outcomes, estimates, form=".4f")
    for part in (PARTS[0], DISCOVER):
        ahead = [ours.ahead_of(peer, part) for peer in peers]
        for length in LENGTHS:
            name = f"By how much {ours.name} is ahead, {part}, first {length}"
            yield from _table(name, length, peers, ahead, form="+.4f")
    yield from (f"- {outcome.name}: {outcome.said}" for outcome in outcomes if outcome.said)
    yield ""


def _table(
    title: str, length: int, outcomes: Sequence[Outcome], estimates: Sequence[dict[str, Estimate]], *, form: str
) -> Iterator[str]:
    names = [f"{metric}_at_{length}" for metric in RANKING_METRICS]
    yield from (f"### {title}", "", f"| | {' | '.join(RANKING_METRICS)} |", "| --- " * (len(names) + 1) + "|")
    for outcome, found in zip(outcomes, estimates, strict=True):
        cells = " | ".join(format(found[name], form) for name in names)
        yield f"| {outcome.name} | {cells} |"
    yield ""


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
