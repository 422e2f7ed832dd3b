"""`regulars monitor` and `regulars retrain`: is a champion still what it was, and the whole round again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from cli import show, steps
from facts.errors import NotYet, counted
from facts.home import Home
from facts.lake import Lake

if TYPE_CHECKING:
    from scoring.decision_log import DecisionLog
    from training.monitoring import Monitored, Thresholds
    from training.registering import Trained

FURTHEST = 5


def monitor(home: Home, names: Sequence[str], *, thresholds: Thresholds) -> bool:
    """Look at the champions of some tasks, print and log what is seen; return whether anything is beyond a threshold.

    Raises
    ------
    NotYet
        A task that was named has no champion, or, of all tasks, none has one.
    """
    from scoring.batch import known_rows
    from serving.clock import Clock
    from training.monitoring import monitor as look_at
    from training.tasks import TASKS

    lake = Lake(home.lake)
    at = Clock.of(lake.shop()).now()
    chosen = _with_champion(home) if list(names) == ["all"] else steps.chosen_tasks(names)
    seen = []
    with show.working("Monitor") as step, _decisions(home) as log:
        step("customers")
        rows = known_rows(lake, as_of=at)
        for name in chosen:
            step(name)
            seen.append(look_at(home, TASKS[name], rows, log, at=at, thresholds=thresholds))
    for found in seen:
        _print(found)
    return any(found.alarms for found in seen)


def retrain(home: Home, names: Sequence[str], *, train: Callable[[Home, list[str]], list[Trained]]) -> None:
    """Bring in what happened, build and materialize the features, train, and say what became of each task."""
    from scoring.registry import champion_version

    chosen = steps.chosen_tasks(names)
    before = {name: champion_version(home, name) for name in chosen}
    steps.build_features(home)
    steps.materialize(home)
    trained = train(home, chosen)
    rows = [(f"regulars-{done.task}/{done.version}", *_became(done, before[done.task])) for done in trained]
    show.table("What became of the round", ["version", "is", "because"], rows)
    if any(done.is_champion and before[done.task] != done.version for done in trained):
        show.console.print("the service answers with its old champions until it is started again", highlight=False)


def _became(done: Trained, before: str | None) -> tuple[str, str]:
    """Return what a version is now, and why."""
    if not done.was_trained:
        reigns = "" if done.is_champion or not before else f"; version {before} stays champion"
        said = f"same data, settings and seed: version {done.version} stands{reigns}"
        return ("champion" if done.is_champion else "challenger"), said
    if done.is_champion:
        instead = f" instead of version {before}" if before else ""
        return f"champion{instead}", done.reason
    stays = f"; version {before} stays champion" if before else "; nobody is champion"
    return "challenger", done.reason + stays


def _with_champion(home: Home) -> list[str]:
    from scoring.registry import champion_version
    from training.tasks import TASKS

    found = [name for name in TASKS if champion_version(home, name) is not None]
    if not found:
        raise NotYet("champion of any task", advice="run `regulars train` first")
    return found


@contextmanager
def _decisions(home: Home) -> Iterator[DecisionLog | None]:
    """Open the decision log, None where nothing was answered yet: opening it would make an empty one."""
    from scoring.decision_log import has_decision_log, open_decision_log

    if not has_decision_log(home):
        yield None
        return
    with closing(open_decision_log(home)) as log:
        yield log


def _print(seen: Monitored) -> None:
    from training.monitoring import performance_sentence

    drifted = sum(drift.is_drifted for drift in seen.features)
    rows = [
        ("score", f"{seen.score.psi:.3f}", f"{seen.score.limit:.3f}", "", _verdict(is_beyond=seen.score.is_drifted)),
        (
            "features that drifted",
            f"{drifted} of {len(seen.features)}",
            f"{seen.thresholds.drifted_share:.0%} of the gain",
            f"{seen.drifted_gain_share:.0%}",
            _verdict(is_beyond=seen.drifted_gain_share > seen.thresholds.drifted_share),
        ),
        *[
            (
                f"  {drift.name}",
                f"{drift.psi:.3f}",
                f"{drift.limit:.3f}",
                f"{seen.gain_shares[drift.name]:.0%}",
                "drifted" if drift.is_drifted else "",
            )
            for drift in seen.features[:FURTHEST]
        ],
    ]
    title = f"{seen.model.label}: {counted(seen.customers, 'customer')} at {seen.at:%Y-%m-%d %H:%M} UTC"
    figures = ["found", "limit", "share of the model's gain"]
    show.table(title, ["drift (population stability index)", *figures, ""], rows, right=figures)
    measured = [
        (found.model, name, str(found.estimates[name]), str(promised), verdict)
        for found in seen.performances
        for name, promised in found.promised.items()
        if name in found.estimates
        for verdict in [found.verdict if name == found.gate_metric else ""]
    ]
    if measured:
        columns = ["version", "metric", "on its answers", "promised", ""]
        show.table("On what was answered", columns, measured, right=columns[2:4])
    show.console.print(performance_sentence(seen), highlight=False)
    for alarm in seen.alarms:
        show.console.print(f"alarm: {alarm}", style="red", highlight=False)
    if not seen.alarms:
        show.console.print("within its thresholds", style="green", highlight=False)
    show.console.print(f"MLflow: experiment regulars-monitor, run {seen.run_id}", highlight=False)


def _verdict(*, is_beyond: bool) -> str:
    return "alarm" if is_beyond else "ok"
