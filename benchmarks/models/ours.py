"""What this project answers: its own search, calibration and final fit, with no settings of the benchmark's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from benchmarks.models.questions import Question
from scoring.model import TaskModel
from scoring.parts import Figures
from training.calibration import Pairs, fit_calibration
from training.final import learn
from training.fitting import Floats, Recipe, held_out
from training.means import Means
from training.search import fold_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What was said of the customers of a validation cutoff by boosters that had not seen it, and what came."""

    cutoff: datetime
    rows: pd.DataFrame
    said: Floats
    actual: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The trained model, and its answers on held-out time."""

    model: TaskModel
    objective: str
    held_out: tuple[HeldOut, ...]

    def answer(self, rows: pd.DataFrame) -> Figures:
        """Answer for rows, as far ahead as the labels look."""
        return self.model.figures(rows[list(self.model.features)].to_numpy(np.float32))


def train_ours(question: Question) -> Ours:
    """Search, fit and calibrate as `regulars train` does."""
    plan, data, home = question.plan, question.data, question.shop.home
    journal = home.search / f"{question.name}.journal"
    found, model = learn(plan, data, question.shop.lake.shop(), journal=journal, study_name=question.name)
    recipe = Recipe(task=plan.task, horizon_days=plan.horizon.days, params=found.params, seed=plan.seed, means=Means())
    folds = fold_rows(data, plan.splits.calibration)
    pairs = held_out(recipe, folds, found.rounds)
    if question.kind == "probability":
        pairs = [(_calibrated(pairs, i), actual) for i, (_said, actual) in enumerate(pairs)]
    return Ours(
        model=model,
        objective=str(found.params["objective"]),
        held_out=tuple(
            HeldOut(cutoff=fold.validation, rows=rows.later.frame, said=said, actual=actual)
            for fold, rows, (said, actual) in zip(plan.splits.calibration, folds, pairs, strict=True)
        ),
    )


def _calibrated(pairs: Pairs, index: int) -> Floats:
    """Calibrate a cutoff by the other ones, or by itself where it is the only one."""
    others: Sequence[tuple[Floats, Floats]] = [pair for i, pair in enumerate(pairs) if i != index] or list(pairs)
    return fit_calibration(others).apply(pairs[index][0])
