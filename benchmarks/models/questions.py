"""One question: a task of a shop, the rows to learn from, the rows to answer for, and what then happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from benchmarks.models.histories import HISTORY, read_histories
from benchmarks.models.shops import ORDER_COUNT, Shop
from features.snapshots import snapshot_cutoffs
from scoring.parts import Kind
from training.dataset import TrainingSet, build_training_set, label_rows
from training.fitting import Floats
from training.known import Known
from training.plan import Plan, choose_horizons
from training.plan import plan as plan_training
from training.silences import find_silences
from training.splits import split
from training.trials import Budget

SEED = 1
BUDGET = Budget(timeout_seconds=3600.0)  # its trials end a search, not what else this machine does


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of a shop's customers at the test cutoff.

    Parameters
    ----------
    data
        All rows of the plan's cutoffs; the labels of the test cutoff are not among them where the shop ends there.
    rows, actual
        The customers of the test cutoff with features and `HISTORY`, and what they did within `asked_days`.
    known
        The histories of every customer at the test cutoff.
    refusal
        What the project said when it was asked as far ahead as this; None where its labels look that far.
    """

    shop: Shop
    name: str
    plan: Plan
    data: TrainingSet
    rows: pd.DataFrame
    actual: Floats
    known: pd.DataFrame
    asked_days: int
    refusal: str | None

    @property
    def kind(self) -> Kind:
        """What kind of label it is."""
        return self.plan.task.kind

    @property
    def is_of_orders(self) -> bool:
        """Whether it asks for a number of orders."""
        return self.plan.task is ORDER_COUNT

    @property
    def is_of_money(self) -> bool:
        """Whether it asks for money."""
        return self.kind == "amount" and not self.is_of_orders

    @property
    def is_of_absence(self) -> bool:
        """Whether it asks who stays away."""
        return self.plan.task.name == "churn"

    @property
    def horizon_days(self) -> int:
        """How far the labels of training look."""
        return self.plan.horizon.days

    @property
    def train(self) -> TrainingSet:
        """Every row whose label was known at the test cutoff."""
        return self.data.at(self.plan.splits.train)


def questions(shop: Shop) -> Iterator[Question]:
    """Ask every task of a shop."""
    for name in shop.tasks:
        yield _question(shop, name, _plan(shop, name))


def with_histories(rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return rows of customers with their histories beside them, in the same order."""
    return rows.merge(known, on="customer_id", how="left", validate="many_to_one").fillna(dict.fromkeys(HISTORY, 0.0))


def _plan(shop: Shop, name: str) -> Plan:
    """Plan as `regulars train` does; a shop that ends where the question begins is tested there."""
    if shop.asked_days is None:
        return plan_training(shop.lake, [name], budget=BUDGET, seed=SEED).ready[0]
    record, task = shop.lake.shop(), shop.tasks[name]
    horizon = choose_horizons(shop.lake, find_silences(shop.lake))[task.name]
    cutoffs, until = snapshot_cutoffs(shop.lake), record.observed_until
    splits = split(cutoffs, horizon_days=horizon.days, test=until, observed_from=record.observed_from)
    return Plan(task=task, horizon=horizon, splits=splits, budget=BUDGET, seed=SEED)


def _question(shop: Shop, name: str, plan: Plan) -> Question:
    cutoffs, test = plan.splits.cutoffs, plan.splits.test
    data = build_training_set(Known(shop.store, shop.lake), plan.task, cutoffs, horizon_days=plan.horizon.days)
    known = read_histories(shop.lake, test)
    rows = with_histories(data.at([test]).frame.drop(columns="label"), known)
    asked_days = shop.asked_days or plan.horizon.days
    done = label_rows(shop.outcomes, plan.task, rows, horizon_days=asked_days).set_index("customer_id")["label"]
    return Question(
        shop=shop,
        name=name,
        plan=plan,
        data=TrainingSet(data.frame[data.frame["cutoff"] != pd.Timestamp(test)], data.features),
        rows=rows,
        actual=done.loc[rows["customer_id"]].to_numpy(float),
        known=known,
        asked_days=asked_days,
        refusal=_refusal(shop, plan, asked_days),
    )


def _refusal(shop: Shop, plan: Plan, asked_days: int) -> str | None:
    if asked_days == plan.horizon.days:
        return None
    refused = plan_training(shop.lake, [plan.task.name], horizon_days=asked_days).unanswered
    return str(refused[0]) if refused else None


def known_at(question: Question, cutoff: datetime) -> pd.DataFrame:
    """Return the histories of every customer at another cutoff."""
    return read_histories(question.shop.lake, cutoff)
