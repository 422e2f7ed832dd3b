"""What is predicted: the tasks, their labels, and how far ahead each looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ibis

from facts.errors import GateFailed, UnknownName
from scoring.parts import Gate, Kind
from training.objectives import QUANTILES_OF_DAYS
from training.silences import Silence

ROUND_HORIZONS_DAYS = (7, 14, 30, 60, 90, 180, 365)
LEAST_HISTORY_PER_HORIZON = 4  # a year's record carries a horizon of a quarter, no longer
LEAST_GAPS = 30
CAME_BACK, STAYED_AWAY = "ordered within the horizon", "stayed away for the whole horizon"

# A customer without an order in the catalog's longest window has nothing but zeros to be judged by.
ACTIVE = Gate(feature="order_count_365d", at_least=1, said="orders of the customer in the last 365 days")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to predict of a customer at a cutoff.

    Parameters
    ----------
    outcome, description
        A noun phrase for plots, and what the label says in a sentence.
    label
        From what the customer did within the horizon (`order_count`, `net_amount`, `days_to_order`) to the label.
    gap_quantile, horizon_multiple
        `auto` takes the smallest round horizon that is at least `horizon_multiple` times this quantile of the shop's
        days between visits.
    cases
        What labels 0 and 1 of a probability are: "past cases of a customer who ...".
    objectives
        XGBoost's objectives that the search chooses from.
    recency_sign
        Which way the outcome goes with the days since the last order, if it goes one way: 1 up, -1 down.
    search_metric, gate_metric
        What the search improves, and what a champion must be better at.
    """

    name: str
    kind: Kind
    outcome: str
    description: str
    label: Callable[[ibis.Table], ibis.Value]
    gap_quantile: float
    horizon_multiple: int
    objectives: tuple[str, ...]
    recency_sign: int
    search_metric: str
    gate_metric: str
    gate: Gate = ACTIVE
    cases: tuple[str, str] = ("", "")


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="repurchase",
            kind="probability",
            outcome="repurchases",
            description="The customer places at least one order within the horizon",
            label=lambda t: (t.order_count > 0).cast("float64"),
            gap_quantile=0.75,
            horizon_multiple=1,
            objectives=("binary:logistic",),
            recency_sign=-1,
            search_metric="log_loss",
            gate_metric="auc",
            cases=(STAYED_AWAY, CAME_BACK),
        ),
        Task(
            name="churn",
            kind="probability",
            outcome="churned customers",
            description="The customer, active in the last 365 days, places no order within the horizon",
            label=lambda t: (t.order_count == 0).cast("float64"),
            gap_quantile=0.95,
            horizon_multiple=1,
            objectives=("binary:logistic",),
            recency_sign=1,
            search_metric="log_loss",
            gate_metric="auc",
            cases=(CAME_BACK, STAYED_AWAY),
        ),
        Task(
            name="clv",
            kind="amount",
            outcome="net spend",
            description="What the customer spends within the horizon, net of discounts",
            label=lambda t: t.net_amount.cast("float64"),
            gap_quantile=0.95,
            horizon_multiple=3,
            objectives=("reg:absoluteerror", "reg:squarederror", "reg:tweedie", "two-part"),
            recency_sign=-1,
            search_metric="mae",
            gate_metric="normalised_gini",
        ),
        Task(
            name="next_order",
            kind="days",
            outcome="days to the next order",
            description="The days until the customer's next order; where none comes within the horizon, or ever, they "
            "are the horizon's",
            label=lambda t: t.days_to_order,
            gap_quantile=0.95,
            horizon_multiple=3,
            objectives=(QUANTILES_OF_DAYS, "survival:aft"),
            recency_sign=1,
            search_metric="pinball_loss",
            gate_metric="mae",
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """How far ahead a task looks, and why."""

    days: int
    reason: str


def task(name: str) -> Task:
    """Return a task by its name; raise UnknownName, with the nearest one, where there is none."""
    if name not in TASKS:
        raise UnknownName("task", name, known=list(TASKS))
    return TASKS[name]


def visit_gaps(orders: ibis.Table, silences: Sequence[Silence] = ()) -> Sequence[float]:
    """Return the days between a customer's consecutive visit-days, over all customers.

    A gap over a silence of the shop says nothing about the customer and is left out.
    """
    days = orders.select("customer_id", "local_on").distinct()
    before = days.local_on.lag().over(group_by="customer_id", order_by="local_on")
    gaps = days.select(gap_days=days.local_on.delta(before, unit="day"), before=before, after=days.local_on)
    for silence in silences:
        gaps = gaps.filter((gaps.before >= silence.until_on) | (gaps.after < silence.first_on))
    found: Sequence[float] = gaps.filter(gaps.gap_days.notnull()).order_by("gap_days").execute()["gap_days"].tolist()
    return found


def auto_horizons(gaps: Sequence[float], *, history_days: int, has_silences: bool = False) -> Mapping[str, Horizon]:
    """Choose every task's horizon from the shop's own gaps between visits.

    Where the shop was silent, the history is the longest between silences.

    Raises
    ------
    GateFailed
        There are too few repeated visits to say what is usual.
    """
    if len(gaps) < LEAST_GAPS:
        raise GateFailed(
            "repeated visits to choose horizons from",
            needed=str(LEAST_GAPS),
            found=str(len(gaps)),
            advice="give --horizon-days",
        )
    said = f"{history_days} days on record{' without a silence' if has_silences else ''}"
    return {name: _auto(task, sorted(gaps), history_days=history_days, said=said) for name, task in TASKS.items()}


def _auto(task: Task, gaps: Sequence[float], *, history_days: int, said: str) -> Horizon:
    usual = gaps[min(int(task.gap_quantile * len(gaps)), len(gaps) - 1)]
    base = _round_up(usual)
    wanted = _round_up(base * task.horizon_multiple)
    days = max([h for h in ROUND_HORIZONS_DAYS if h <= min(wanted, history_days / LEAST_HISTORY_PER_HORIZON)] or [7])
    reason = f"{task.gap_quantile:.0%} of the gaps between visits are within {usual:.0f} days"
    reason += f", so a customer's usual cycle fits in {base}" if base != usual else ""
    reason += f"; {task.horizon_multiple} such cycles" if task.horizon_multiple > 1 else ""
    reason += f"; shortened to a quarter of the {said}" if days < wanted else ""
    return Horizon(days=days, reason=reason)


def _round_up(days: float) -> int:
    return next((h for h in ROUND_HORIZONS_DAYS if h >= days), ROUND_HORIZONS_DAYS[-1])
