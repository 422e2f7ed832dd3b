"""`regulars promote`, `rollback` and `champions`: which version answers, by whose word, and what was before."""

from __future__ import annotations

from datetime import UTC, datetime

from cli import show
from facts.home import Home


def promote(home: Home, task_name: str, version: str, *, reason: str) -> None:
    """Make a version champion by hand."""
    from training import reign
    from training.reign import model_of

    before = reign.promote(home, model_of(task_name), version, reason=reason)
    _say(task_name, before=before, now=version)


def rollback(home: Home, task_name: str, *, reason: str) -> None:
    """Make the version champion again that was before; the one left is not rolled back to."""
    from training import reign
    from training.reign import model_of

    before, now = reign.rollback(home, model_of(task_name), reason=reason)
    _say(task_name, before=before, now=now)


def history(home: Home, task_name: str | None) -> None:
    """Print what was champion when."""
    from training import reign
    from training.reign import MODELS, model_of

    names = list(MODELS) if task_name is None else [model_of(task_name)]
    rows = [
        (f"regulars-{name}/{held.version}", _told(held.since), _told(held.until), held.by, held.reason)
        for name in names
        for held in reign.reigns(home, name)
    ]
    if rows:
        show.table("Champions", ["version", "from", "until", "by", "reason"], rows)
    else:
        show.console.print("no version was ever champion; run `regulars train`")


def _say(task_name: str, *, before: str | None, now: str) -> None:
    name = f"regulars-{task_name}"
    if before == now:
        show.console.print(f"{name}/{now} is champion already", highlight=False)
        return
    instead = f" instead of {name}/{before}" if before else ""
    show.console.print(f"{name}/{now} is champion{instead}; start the service again", highlight=False)


def _told(instant: datetime | None) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if instant else "now"
