"""What a benchmark tells: a line for each subject, shown as a table and kept as JSON in benchmarks/results/."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
GIGABYTE = 1e9
MILLISECONDS_BELOW = 0.02  # seconds
_IN_WORDS = ("subject", "note", "goal", "verdict")
_VERDICTS = {True: "[green]met[/green]", False: "[red]missed[/red]", None: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report: what was measured, and how it stands to its goal where it has one."""

    part: str
    subject: str
    seconds: float | None = None
    cpu_seconds: float | None = None
    repeats: int = 1
    per_second: float | None = None
    peak_gigabytes: float | None = None
    note: str = ""
    goal: str = ""
    is_met: bool | None = None


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print a table of the figures, but for the columns that none of them has."""
    columns: dict[str, list[str]] = {
        "subject": [figure.subject for figure in figures],
        "time": [_time(figure.seconds) for figure in figures],
        "CPU s": [_number(figure.cpu_seconds, "{:.1f}") for figure in figures],
        "a second": [_number(figure.per_second, "{:,.0f}") for figure in figures],
        "peak GB": [_number(figure.peak_gigabytes, "{:.2f}") for figure in figures],
        "runs": [str(figure.repeats) for figure in figures],
        "note": [figure.note for figure in figures],
        "goal": [figure.goal for figure in figures],
        "verdict": [_VERDICTS[figure.is_met] for figure in figures],
    }
    told = {name: cells for name, cells in columns.items() if any(cells)}
    table = Table(title=figures[0].part, title_justify="left")
    for name in told:
        table.add_column(name, justify="left" if name in _IN_WORDS else "right")
    for cells in zip(*told.values(), strict=True):
        table.add_row(*cells)
    console.print(table)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= MILLISECONDS_BELOW else f"{1000 * seconds:.2f} ms"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def write(figures: Sequence[Figure], *, at: datetime) -> Path:
    """Write the figures and the machine they were measured on; return the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    machine = {"cpu_count": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    path = RESULTS / f"{at:%Y%m%dT%H%M%SZ}.json"
    report = {"at": at.isoformat(), "machine": machine, "figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return path
