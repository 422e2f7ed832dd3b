"""`regulars ingest`: a shop's facts into the lake."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from facts.home import Home

app = typer.Typer(help="Bring a shop's facts into the lake; bad rows are set aside.", no_args_is_help=True)

Whole = Annotated[
    bool, typer.Option("--replace", help="The files are the whole record: orders that are not in them end now.")
]
Limit = Annotated[
    float, typer.Option(min=0, max=1, help="The share of bad rows above which nothing is ingested; by default 5 %.")
]


@app.command("complete-journey")
def complete_journey() -> None:
    """Read Complete Journey, a year of a grocer's customers, from its package."""
    from cli import steps

    steps.ingest_source(Home.from_environment(), "complete-journey")


@app.command("table")
def table(
    files: Annotated[list[Path], typer.Argument(help="CSV, TSV (also gzip), Parquet or Excel.")],
    *,
    mapping: Annotated[str, typer.Option(help="A TOML file, or one that is shipped: shopify, woocommerce, cdnow.")],
    shop: Annotated[str | None, typer.Option(help="The shop's name, instead of the mapping's.")] = None,
    currency: Annotated[str | None, typer.Option(help="Its currency (ISO 4217), instead of the mapping's.")] = None,
    zone: Annotated[str | None, typer.Option(help="Its time zone, instead of the mapping's.")] = None,
    replace: Whole = False,
    limit: Limit = 0.05,
) -> None:
    """Read a shop's order files as a mapping says; `regulars ingest suggest FILE` writes a mapping to start from.

    Orders that are there already are not counted twice; other content of an order is its next version.
    """
    from cli import steps
    from facts.ingest.table.files import refuse_absent
    from facts.ingest.table.loading import load_mapping
    from facts.ingest.table.read import read

    for file in files:  # a slip in a path is told before what the mapping lacks
        refuse_absent(file)
    home = Home.from_environment()
    home.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.folder, prefix=".ingest-") as staging:
        delivery = read(
            files,
            load_mapping(mapping, shop=shop, currency=currency, zone=zone),
            staging=Path(staging),
            at=datetime.now(UTC),
        )
        steps.ingest(home, delivery, mode="replace" if replace else "append", limit=limit)


@app.command("suggest")
def suggest(
    file: Annotated[Path, typer.Argument(help="One of the shop's order files.")],
    *,
    sheet: Annotated[str | None, typer.Option(help="Which sheet, of a workbook that has several.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the mapping there; by default it is printed.")] = None,
) -> None:
    """Look at a file and write a mapping to review, with what could not be decided."""
    from cli import show
    from facts.ingest.table.suggest import suggest as suggest_mapping

    found = suggest_mapping(file, sheet=sheet)
    if output is None:
        typer.echo(found.text)
    else:
        output.write_text(found.text, encoding="utf-8")
        show.console.print(f"mapping to review -> {output}", highlight=False)
    for doubt in found.undecided:
        show.console.print(f"to decide: {doubt}", style="yellow", highlight=False)


@app.command("simulated")
def simulated(
    folder: Annotated[Path, typer.Argument(help="What `regulars simulate` wrote.")],
    *,
    replace: Whole = False,
    limit: Limit = 0.05,
) -> None:
    """Read a simulated shop."""
    from cli import steps
    from facts.ingest.simulated import read

    steps.ingest(Home.from_environment(), read(folder), mode="replace" if replace else "append", limit=limit)
