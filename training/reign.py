"""Which version was champion when: the alias `champion` is moved here, and every move is written on the versions.

A version carries its reigns as a tag, so the history can be read on MLflow's pages and by `regulars champions`. What a
rollback goes back to is worked out from it: a rollback undoes the last move that was none.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from facts.errors import NotYet, RegularsError, UnknownName
from facts.home import Home
from scoring.ranker import RECOMMENDER
from scoring.registry import ALIAS, champion_version
from training import tracking
from training.tasks import TASKS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

TAG = "reigns"
MODELS = (*TASKS, RECOMMENDER)  # what has a champion
BY_GATE = "the gate"
_BY_HAND = ", by hand"
_BY_ROLLBACK = ", rollback by hand"


class NoneBefore(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """There is no champion to roll back to."""

    def __init__(self, task: str, present: str) -> None:
        super().__init__(
            f"there is no champion of {task} before regulars-{task}/{present} to roll back to; "
            "`regulars promote` decides which version is champion"
        )


class ReasonMissing(RegularsError):  # noqa: N818
    """A move by hand without a word on why."""

    def __init__(self) -> None:
        super().__init__("the reason is empty; say with --reason why, it is written on the version")


def model_of(name: str) -> str:
    """Return what has a champion of that name; raise UnknownName where there is none."""
    if name not in MODELS:
        raise UnknownName("task", name, known=MODELS)
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """From when until when a version was champion (`until` None: it is), who or what made it so, and why."""

    version: str
    since: datetime
    until: datetime | None
    by: str
    reason: str


def crown(client: MlflowClient, name: str, version: str, *, by: str, reason: str) -> None:
    """Give a version the alias `champion`; the reign of the one before ends now.

    The alias is what counts: a stop before the dates are written leaves them to the next move.
    """
    now = datetime.now(UTC)
    versions = _versions(client, name)
    client.set_registered_model_alias(name, ALIAS, version)
    present = versions[version]
    _write(
        client,
        name,
        version,
        [*_reigns_of(present), Reign(version=version, since=now, until=None, by=by, reason=reason)],
    )
    for other, held in versions.items():
        ended = [reign if reign.until else replace(reign, until=now) for reign in _reigns_of(held)]
        if other != version and ended != _reigns_of(held):
            _write(client, name, other, ended)


def has_reigned(version: ModelVersion) -> bool:
    """Return whether a version was ever champion."""
    return bool(_reigns_of(version))


def reigns(home: Home, task: str) -> list[Reign]:
    """Return every reign of a task's versions, in time order."""
    if not home.has_tracking:  # opening it would make an empty registry
        return []
    with tracking.tracked(home) as client:
        return _all_reigns(client, f"regulars-{task}")


def promote(home: Home, task: str, version: str, *, reason: str) -> str | None:
    """Make a version champion by hand, whatever its gate said; return the version that was.

    Raises
    ------
    ReasonMissing
        The reason is blank.
    UnknownName
        There is no such version.
    """
    _require(reason)
    name, before = f"regulars-{task}", champion_version(home, task)
    with tracking.tracked(home) as client:
        known = _versions(client, name)
        if version not in known:
            raise UnknownName(f"version of {name}", version, known=sorted(known, key=int))
        if version != before:
            crown(client, name, version, by=f"{who()}{_BY_HAND}", reason=reason)
    return before


def rollback(home: Home, task: str, *, reason: str) -> tuple[str, str]:
    """Make the version champion again that was before the present one; return the present one and that.

    The present one can then no longer be rolled back to, so the next rollback goes one further back.

    Raises
    ------
    ReasonMissing
        The reason is blank.
    NotYet
        There is no champion.
    NoneBefore
        None was before it, or all that were have been rolled back from.
    """
    _require(reason)
    name, before = f"regulars-{task}", champion_version(home, task)
    if before is None:
        raise NotYet(f"champion of {task}", advice="`regulars promote` makes any version champion")
    with tracking.tracked(home) as client:
        earlier = _earlier(_all_reigns(client, name), before)
        if not earlier:
            raise NoneBefore(task, before)
        crown(client, name, earlier[-1], by=f"{who()}{_BY_ROLLBACK}", reason=reason)
    return before, earlier[-1]


def who() -> str:
    """Return the user who asks, as the machine knows them."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # in a container a user may have a number only
        return f"user {os.getuid()}"


def _require(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing


def _earlier(told: Sequence[Reign], present: str) -> list[str]:
    """Return what can be rolled back to from the present champion, the last one last.

    The alias counts: where it was moved and the move not written, it stands where it last stood, or after all.
    """
    standing: list[str] = []
    for reign in told:
        if reign.by.endswith(_BY_ROLLBACK):
            standing = _before(standing, reign.version)
        if standing[-1:] != [reign.version]:  # the one between may have been deleted
            standing.append(reign.version)
    return _before(standing, present)


def _before(standing: list[str], version: str) -> list[str]:
    """Return what came before the last time of a version; all where it has none."""
    times = [place for place, held in enumerate(standing) if held == version]
    return standing[: times[-1]] if times else standing


def _versions(client: MlflowClient, name: str) -> dict[str, ModelVersion]:
    return {str(version.version): version for version in client.search_model_versions(f"name = '{name}'")}


def _all_reigns(client: MlflowClient, name: str) -> list[Reign]:
    found = [reign for version in _versions(client, name).values() for reign in _reigns_of(version)]
    return sorted(found, key=lambda reign: reign.since)


def _reigns_of(version: ModelVersion) -> list[Reign]:
    told = json.loads(version.tags.get(TAG, "[]"))
    times = [{end: t[end] and datetime.fromisoformat(t[end]) for end in ("since", "until")} for t in told]
    return [Reign(version=str(version.version), **t | ends) for t, ends in zip(told, times, strict=True)]


def _write(client: MlflowClient, name: str, version: str, held: list[Reign]) -> None:
    told = [{key: value for key, value in asdict(reign).items() if key != "version"} for reign in held]
    client.set_model_version_tag(name, version, TAG, json.dumps(told, default=datetime.isoformat))
