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
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.figures import GIGABYTE
from benchmarks.peers import peak_memory_bytes
from benchmarks.recommender.run import Outcome, measure
from facts.basket_lists import read_basket_lists
from facts.baskets import Baskets, read_baskets
from facts.ingest import ingest, read_source
from facts.lake import Lake
from training.metrics import Estimate
from training.metrics.ranking import LENGTHS, RANKING_METRICS
from training.recommender.evaluation import PARTS
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

    past, future = read_basket_lists(asked.baskets, asked.future) if asked.baskets else _complete_journey()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = measure(past, future, on_step=on_step)
    seconds, gigabytes = time.monotonic() - started, peak_memory_bytes() / GIGABYTE
    name = asked.baskets.name if asked.baskets else "Complete Journey"
    of = f"{len(set(future.customer.tolist())):,} customers, {len(past.product_ids):,} products"
    took = f"Took {seconds:.0f} s, at most {gigabytes:.1f} GB, on {os.cpu_count()} cores."
    report = "\n".join([f"# Next baskets of {name}", "", f"{of}. {took}", "", *_tables(outcomes)])
    if asked.output:
        asked.output.write_text(f"{report}\n", encoding="utf-8")
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(Markdown(report))


def _complete_journey() -> tuple[Baskets, Baskets]:
    with tempfile.TemporaryDirectory(prefix="regulars-recommender-") as work:
        lake = Lake(Path(work) / "lake")
        ingest(read_source("complete-journey"), lake, mode="replace")
        baskets = read_baskets(lake, lake.shop().observed_until)
    return last_baskets(baskets)


def _tables(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of the report: every part of the basket at every length, then by how much the last is ahead."""
    *peers, ours = outcomes
    for part in PARTS:
        estimates = [outcome.estimates(part) for outcome in outcomes]
        for length in LENGTHS:
            yield from _table(f"{part.capitalize()}, first {length}", length, outcomes, estimates, form=".4f")
    ahead = [ours.ahead_of(peer, PARTS[0]) for peer in peers]
    for length in LENGTHS:
        yield from _table(f"By how much {ours.name} is ahead, first {length}", length, peers, ahead, form="+.4f")
    yield from (f"- {outcome.name}: {outcome.said}" for outcome in outcomes if outcome.said)


def _table(
    title: str, length: int, outcomes: Sequence[Outcome], estimates: Sequence[dict[str, Estimate]], *, form: str
) -> Iterator[str]:
    names = [f"{metric}_at_{length}" for metric in RANKING_METRICS]
    yield from (f"## {title}", "", f"| | {' | '.join(RANKING_METRICS)} | seconds |", "| --- " * (len(names) + 2) + "|")
    for outcome, found in zip(outcomes, estimates, strict=True):
        cells = " | ".join(format(found[name], form) for name in names)
        yield f"| {outcome.name} | {cells} | {outcome.seconds:.1f} |"
    yield ""


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
