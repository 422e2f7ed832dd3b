"""How a version comes into MLflow's registry, once: the one that stands, or a new one with its card, tags and alias."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from facts.home import Home
from scoring.registry import UnusableChampion, champion_version
from training import tracking
from training.reign import BY_GATE, crown, has_reigned, who

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A registered version and what was measured of it (`report.json` of its run)."""

    task: str
    version: str
    is_champion: bool
    was_trained: bool
    report: Mapping[str, Any]

    @property
    def reason(self) -> str:
        """Why the gate let it pass or refused it, in short; earlier reports have the verdict only."""
        return str(self.report["reason"] if "reason" in self.report else self.report["verdict"][0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate said of a version, in full on its card: whether it is champion, and why in a sentence."""

    is_champion: bool
    said: str
    reason: str
    card: str


def standing(
    home: Home, client: MlflowClient, task: str, *, key: str, trials: int, read: Callable[[str], object]
) -> Trained | None:
    """Return the version that stands for a key, searched by at least so many trials; None where there is none.

    `read` opens a version's files and raises UnusableChampion where they cannot be had: such a version does not stand.
    """
    name = f"regulars-{task}"
    known = tracking.version_of_key(client, name, key)
    if known is None:
        return None
    try:
        read(str(known.version))
    except UnusableChampion:
        return None
    report = tracking.read_report(client, known)
    if report["trials"] < trials:  # its time was over before; the search goes on
        return None
    tracking.finish(client, known)
    stands = Trained(
        task=task,
        version=str(known.version),
        is_champion=champion_version(home, task) == str(known.version),
        was_trained=False,
        report=report,
    )
    if report["is_champion"] and not has_reigned(known):  # it was stopped between registering and crowning
        crown(client, name, stands.version, by=BY_GATE, reason=stands.reason)
        return replace(stands, is_champion=True)
    return stands


def register(
    client: MlflowClient,
    uri: str,
    task: str,
    verdict: Verdict,
    *,
    key: str,
    asked_by: str,
    feature_hash: str,
    horizon_days: int,
) -> str:
    """Register a logged model with its card and verdict, as who asked for it, and return its version."""
    import mlflow

    name, now = f"regulars-{task}", datetime.now(UTC)
    asked = ", ".join(part for part in (who(), asked_by) if part)
    code = " ".join(part for part in ("Regulars", *tracking.code_version()) if part)
    card = f"{verdict.card}\nAsked by {asked}; decided {now:%Y-%m-%d %H:%M} UTC; made by {code}.\n"
    mlflow.set_tags({"mlflow.note.content": card, "verdict": verdict.said})
    tags = {
        tracking.KEY_TAG: key,
        "verdict": "champion" if verdict.is_champion else "refused",
        "verdict_reason": shorten(verdict.reason, LONGEST_REASON, placeholder=" ..."),
        "asked_by": asked,
        "decided_at": now.isoformat(timespec="seconds"),
        "feature_hash": feature_hash,
        "horizon_days": str(horizon_days),
    }
    version = tracking.register(client, uri, name, card=card, tags=tags)
    if verdict.is_champion:
        crown(client, name, version, by=BY_GATE, reason=verdict.reason)
    return version
