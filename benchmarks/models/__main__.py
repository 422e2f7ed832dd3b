"""The models and their rivals on three shops, in one run: `make bench-models`.

`python -m benchmarks.models --shop cdnow` runs one shop and renews its part of docs/models-compared.md.
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

from benchmarks.figures import GIGABYTE, ROOT
from benchmarks.models.questions import questions
from benchmarks.models.run import put
from benchmarks.models.shops import SHOPS
from benchmarks.models.table import build_part, write_parts
from benchmarks.peers import peak_memory_bytes


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the shops that were asked for, and renew their parts of the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--shop", action="append", choices=[*SHOPS], help="all of them by default")
    chosen = parser.parse_args(arguments).shop or list(SHOPS)
    console, started = Console(stderr=True), time.monotonic()

    def on_step(said: str) -> None:
        console.print(f"{time.monotonic() - started:5.0f} s  {said}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="regulars-models-") as work, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in chosen:
            on_step(f"{name}: ingest, features")
            shop = SHOPS[name](Path(work))
            page = write_parts({name: build_part([put(question, on_step) for question in questions(shop)])})
            on_step(f"{name}: written to {page.relative_to(ROOT)}")
    seconds, gigabytes = time.monotonic() - started, peak_memory_bytes() / GIGABYTE
    console.print(f"took {seconds:.0f} s, at most {gigabytes:.1f} GB, on {os.cpu_count()} cores")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads sleep: several libraries bring their own
    main()
