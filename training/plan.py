"""What a training is made of: horizons from the shop's own gaps, and splits that share one test cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version

from facts.lake import Lake, short_hash
from features.inputs import Inputs, input_hash
from features.snapshots import SNAPSHOTS, snapshot_cutoffs, snapshot_names
from scoring.model_files import FORMAT as MODEL_FORMAT
from training.splits import Splits, latest_test_cutoff, split
from training.tasks import TASKS, Horizon, Task, auto_horizons, visit_gaps
from training.trials import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a training of one task is made of; equal plans over equal data lead to equal models."""

    task: Task
    horizon: Horizon
    splits: Splits
    budget: Budget
    seed: int

    def key(self, lake: Lake) -> str:
        """Return one short hash of the plan and of the data it would train on."""
        inputs = Inputs.of(snapshot_names(lake), lake.shop().has)
        made_of = [self.task.name, *self.task.objectives, self.task.search_metric, self.horizon.days]
        made_of += [cutoff.isoformat() for cutoff in self.splits.cutoffs]
        data = [lake.digest(SNAPSHOTS), lake.digest("orders", "order_lines", "events"), input_hash(inputs.names)]
        return short_hash([MODEL_FORMAT, *made_of, *data, self.budget.trials, self.seed, package_version("regulars")])


def choose_horizons(lake: Lake) -> Mapping[str, Horizon]:
    """Choose every task's horizon from the shop's own gaps between visits."""
    shop = lake.shop()
    with lake.connect() as connection:
        gaps = visit_gaps(lake.table(connection, "orders"))
    return auto_horizons(gaps, history_days=(shop.observed_until - shop.observed_from).days)


def plan(
    lake: Lake, names: list[str], *, horizon_days: int | None = None, budget: Budget | None = None, seed: int = 1
) -> list[Plan]:
    """Plan the training of some tasks: horizons, and splits that share one test cutoff.

    Raises
    ------
    GateFailed
        The history is too short.
    """
    shop, cutoffs = lake.shop(), snapshot_cutoffs(lake)
    if horizon_days is None:
        horizons = choose_horizons(lake)
    else:
        horizons = dict.fromkeys(TASKS, Horizon(days=horizon_days, reason="given by the user"))
    longest = max(horizon.days for horizon in horizons.values())
    test = latest_test_cutoff(cutoffs, horizon_days=longest, observed_until=shop.observed_until)
    return [
        Plan(
            task=TASKS[name],
            horizon=horizons[name],
            splits=split(cutoffs, horizon_days=horizons[name].days, test=test, observed_from=shop.observed_from),
            budget=budget or Budget(),
            seed=seed,
        )
        for name in names
    ]
