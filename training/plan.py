"""What a training is made of: horizons from the shop's own gaps, and splits that share one test cutoff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as package_version

from facts.errors import GateFailed, RegularsError
from facts.lake import Lake, Shop, short_hash
from features.inputs import Inputs, input_hash
from features.snapshots import SNAPSHOTS, snapshot_cutoffs, snapshot_names
from scoring.model_files import FORMAT as MODEL_FORMAT
from training.sample import LARGEST_ROWS, sample_notes, share_for
from training.silences import Silence, Silences, find_silences
from training.splits import Splits, latest_test_cutoff, split
from training.tasks import TASKS, Horizon, Task, auto_horizons, visit_gaps
from training.trials import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a training of one task is made of; equal plans over equal data lead to equal models.

    `share` is that of the customers who are taken (`training.sample`).
    """

    task: Task
    horizon: Horizon
    splits: Splits
    budget: Budget
    seed: int
    notes: tuple[str, ...] = ()  # sentences: what of the record was left out, and why
    share: float = 1.0

    def key(self, lake: Lake) -> str:
        """Return one short hash of the plan and of the data it would train on."""
        inputs = Inputs.of(snapshot_names(lake), lake.shop().has)
        made_of = [self.task.name, *self.task.objectives, self.task.search_metric, self.horizon.days]
        made_of += [cutoff.isoformat() for cutoff in self.splits.cutoffs]
        made_of += [self.share] if self.share < 1 else []
        data = [lake.digest(SNAPSHOTS), lake.digest("orders", "order_lines", "events"), input_hash(inputs.names)]
        return short_hash([MODEL_FORMAT, *made_of, *data, self.budget.trials, self.seed, package_version("regulars")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A task that cannot be trained, and the gate that failed."""

    task: str
    why: GateFailed

    def __str__(self) -> str:
        return f"{self.task} is not answered: {self.why}"


class NothingTrained(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """None of the tasks that were asked for can be trained; each failed a gate."""

    def __init__(self, unanswered: Sequence[Unanswered]) -> None:
        if len({str(found.why) for found in unanswered}) == 1:
            names = ", ".join(found.task for found in unanswered)
            super().__init__(f"{names} cannot be trained: {unanswered[0].why}")
        else:
            super().__init__("no task can be trained: " + "; ".join(map(str, unanswered)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plans:
    """The trainings that can be tried, the tasks that cannot, and the shop's silences."""

    ready: tuple[Plan, ...]
    unanswered: tuple[Unanswered, ...]
    silences: tuple[Silence, ...]


def choose_horizons(lake: Lake, silences: Silences, *, given_days: int | None = None) -> Mapping[str, Horizon]:
    """Choose every task's horizon from the shop's own gaps between visits, and its longest record without a silence.

    Where days are given, they are every task's.

    Raises
    ------
    GateFailed
        There are too few repeated visits to say what is usual.
    """
    if given_days is not None:
        return dict.fromkeys(TASKS, Horizon(days=given_days, reason="given by the user"))
    shop = lake.shop()
    with lake.connect() as connection:
        gaps = visit_gaps(lake.table(connection, "orders"), silences.found)
    return auto_horizons(gaps, history_days=silences.longest_record_days(shop), has_silences=bool(silences.found))


def plan(
    lake: Lake,
    names: Sequence[str],
    *,
    horizon_days: int | None = None,
    budget: Budget | None = None,
    seed: int = 1,
    rows: int = LARGEST_ROWS,
) -> Plans:
    """Plan the training of some tasks: horizons, splits that share one test cutoff, and one sample of customers.

    A task whose history is too short is left out, and the others are planned without it. `rows` is how many
    customer-cutoffs up to the test cutoff are taken before customers are sampled.
    """
    shop, cutoffs, silences = lake.shop(), snapshot_cutoffs(lake), find_silences(lake)
    try:
        horizons = choose_horizons(lake, silences, given_days=horizon_days)
    except GateFailed as failed:
        unanswered = tuple(Unanswered(task=name, why=failed) for name in names)
        return Plans(ready=(), unanswered=unanswered, silences=silences.found)
    splits, failures = split_tasks(horizons, cutoffs, shop, silences)
    until = max((found.test for found in splits.values()), default=cutoffs[-1])
    share = share_for(lake, until=until, rows=rows)
    ready = [
        Plan(
            task=TASKS[name],
            horizon=horizons[name],
            splits=splits[name],
            budget=budget or Budget(),
            seed=seed,
            share=share,
            notes=(*silences.notes(cutoffs, horizon_days=horizons[name].days), *sample_notes(share)),
        )
        for name in names
        if name in splits
    ]
    unanswered = tuple(Unanswered(task=name, why=failures[name]) for name in names if name in failures)
    return Plans(ready=tuple(ready), unanswered=unanswered, silences=silences.found)


def split_tasks(
    horizons: Mapping[str, Horizon], cutoffs: Sequence[datetime], shop: Shop, silences: Silences
) -> tuple[Mapping[str, Splits], Mapping[str, GateFailed]]:
    """Split the cutoffs of all tasks at one test cutoff, as late as the longest of their horizons allows.

    Where the history is too short for the longest, its tasks are left out, and the others have a later test cutoff.
    """
    splits: dict[str, Splits] = {}
    failures: dict[str, GateFailed] = {}
    while left := {name: horizon.days for name, horizon in horizons.items() if name not in failures}:
        splits, failed = _split_at_one(left, cutoffs, shop, silences)
        if not failed:
            break
        longest = max(left[name] for name in failed)
        failures |= {name: why for name, why in failed.items() if left[name] == longest}
    return {name: splits[name] for name in splits if name not in failures}, failures


def _split_at_one(
    days: Mapping[str, int], cutoffs: Sequence[datetime], shop: Shop, silences: Silences
) -> tuple[dict[str, Splits], dict[str, GateFailed]]:
    usable = {name: silences.usable(cutoffs, horizon_days=ahead) for name, ahead in days.items()}
    common = [cutoff for cutoff in cutoffs if all(cutoff in own for own in usable.values())]
    try:
        test = latest_test_cutoff(common, horizon_days=max(days.values()), observed_until=shop.observed_until)
    except GateFailed as failed:
        return {}, dict.fromkeys(days, failed)
    splits, failures = {}, {}
    for name, ahead in days.items():
        try:
            splits[name] = split(usable[name], horizon_days=ahead, test=test, observed_from=shop.observed_from)
        except GateFailed as failed:
            failures[name] = failed
    return splits, failures
