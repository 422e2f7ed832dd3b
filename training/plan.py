"""What a training is made of: horizons from the shop's own gaps, and splits that share one test cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version

from facts.lake import Lake, short_hash
from features.inputs import Inputs, input_hash
from features.snapshots import SNAPSHOTS, snapshot_cutoffs, snapshot_names
from scoring.model_files import FORMAT as MODEL_FORMAT
from training.sample import LARGEST_ROWS, share_for
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
    share: float = 1.0

    def key(self, lake: Lake) -> str:
        """Return one short hash of the plan and of the data it would train on."""
        inputs = Inputs.of(snapshot_names(lake), lake.shop().has)
        made_of = [self.task.name, *self.task.objectives, self.task.search_metric, self.horizon.days]
        made_of += [cutoff.isoformat() for cutoff in self.splits.cutoffs]
        made_of += [self.share] if self.share < 1 else []
        data = [lake.digest(SNAPSHOTS), lake.digest("orders", "order_lines", "events"), input_hash(inputs.names)]
        return short_hash([MODEL_FORMAT, *made_of, *data, self.budget.trials, self.seed, package_version("regulars")])


def choose_horizons(lake: Lake) -> Mapping[str, Horizon]:
    """Choose every task's horizon from the shop's own gaps between visits."""
    shop = lake.shop()
    with lake.connect() as connection:
        gaps = visit_gaps(lake.table(connection, "orders"))
    return auto_horizons(gaps, history_days=(shop.observed_until - shop.observed_from).days)


def plan(
    lake: Lake,
    names: list[str],
    *,
    horizon_days: int | None = None,
    budget: Budget | None = None,
    seed: int = 1,
    rows: int = LARGEST_ROWS,
) -> list[Plan]:
    """Plan the training of some tasks: horizons, splits that share one test cutoff, and one sample of customers.

    `rows` is how many customer-cutoffs up to the test cutoff are taken before customers are sampled.

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
    share = share_for(lake, until=test, rows=rows)
    return [
        Plan(
            task=TASKS[name],
            horizon=horizons[name],
            splits=split(cutoffs, horizon_days=horizons[name].days, test=test, observed_from=shop.observed_from),
            budget=budget or Budget(),
            seed=seed,
            share=share,
        )
        for name in names
    ]
