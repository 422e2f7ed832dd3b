"""Next baskets foretold by published methods, in one run, with intervals.

`python -m benchmarks.recommender --baskets FILE --future FILE` reads basket lists (`facts/basket_lists.py`); without
`--future` the last basket of every customer is foretold, and without any file those of Complete Journey.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import GIGABYTE
from benchmarks.peers import peak_memory_bytes
from benchmarks.recommender.run import PARTS, Outcome, measure
from facts.basket_lists import read_basket_lists
from facts.baskets import Baskets, read_baskets
from facts.ingest import ingest, read_source
from facts.lake import Lake


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask everyone, and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommender", description=__doc__)
    parser.add_argument("--baskets", type=Path, help="basket lists to learn from")
    parser.add_argument("--future", type=Path, help="the baskets to foretell")
    asked = parser.parse_args(arguments)
    console, started = Console(stderr=True), time.monotonic()

    def on_step(said: str) -> None:
        console.print(f"{time.monotonic() - started:5.0f} s  {said}", highlight=False)

    past, future = read_basket_lists(asked.baskets, asked.future) if asked.baskets else _complete_journey()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcomes = measure(past, future, on_step=on_step)
    for part in PARTS:
        Console().print(_table(part, outcomes))
    seconds, gigabytes = time.monotonic() - started, peak_memory_bytes() / GIGABYTE
    console.print(f"took {seconds:.0f} s, at most {gigabytes:.1f} GB, on {os.cpu_count()} cores")


def _complete_journey() -> tuple[Baskets, Baskets]:
    with tempfile.TemporaryDirectory(prefix="regulars-recommender-") as work:
        lake = Lake(Path(work) / "lake")
        ingest(read_source("complete-journey"), lake, mode="replace")
        baskets = read_baskets(lake, lake.shop().observed_until)
    return baskets.split((baskets.places_from_last == 0) & (baskets.basket_counts[baskets.customer] > 1))


def _table(part: str, outcomes: Sequence[Outcome]) -> Table:
    estimates = {outcome.name: outcome.estimates(part) for outcome in outcomes}
    metrics = list(next(iter(estimates.values())))
    table = Table("", *metrics, "seconds", title=f"Products of the next basket: {part}")
    for outcome in outcomes:
        measured = [f"{estimates[outcome.name][metric]:.4f}" for metric in metrics]
        table.add_row(f"{outcome.name} {outcome.said}".strip(), *measured, f"{outcome.seconds:.1f}")
    return table


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
