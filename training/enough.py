"""Whether there is enough to train a task on and to test it: the gates between the rows and the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd

from facts.errors import GateFailed, counted
from training.splits import Fold, Splits
from training.tasks import Task

LEAST_CUSTOMERS = 50
LEAST_OF_EACH_CLASS = 20
LEAST_TEST_CUSTOMERS = 10


def require_enough(frame: pd.DataFrame, task: Task) -> None:
    """Check the rows of all cutoffs together: columns `customer_id` and `label`.

    Raises
    ------
    GateFailed
        Too few customers, or too few of whom the outcome is this or that.
    """
    customers = frame["customer_id"].nunique()
    if customers < LEAST_CUSTOMERS:
        raise GateFailed(f"customers to learn {task.name} from", needed=str(LEAST_CUSTOMERS), found=str(customers))
    if task.kind == "probability":
        for value, case in enumerate(task.cases):
            count = int((frame["label"] == value).sum())
            if count < LEAST_OF_EACH_CLASS:
                gate = f"past cases of a customer who {case}"
                raise GateFailed(gate, needed=str(LEAST_OF_EACH_CLASS), found=str(count))
    elif task.kind == "amount" and not (frame["label"] > 0).any():
        raise GateFailed("past cases of a customer who spent anything within the horizon", needed="1", found="0")
    elif task.kind == "days" and not (frame["label"] < frame["label"].max()).any():
        raise GateFailed("past cases of a customer who ordered again within the horizon", needed="1", found="0")


def usable_splits(task: Task, frame: pd.DataFrame, splits: Splits) -> Splits:
    """Return the splits without the folds from whose rows nothing can be learned, or nothing told apart.

    Raises
    ------
    GateFailed
        No fold is left, the rows of the training cutoffs are all alike, or those of the test cutoff.
    """
    labels = {cutoff: rows.to_numpy(np.float64) for cutoff, rows in frame.groupby("cutoff")["label"]}

    def varied(cutoffs: Sequence[datetime]) -> bool:
        label = np.concatenate([labels.get(cutoff, np.empty(0)) for cutoff in cutoffs])
        return len(label) > 1 and bool(np.ptp(label) > 0) and _has_any(task, label)

    def usable(fold: Fold) -> bool:
        return varied(fold.train) and varied([fold.validation])

    folds, calibration = (tuple(filter(usable, some)) for some in (splits.folds, splits.calibration))
    if not calibration or not varied(splits.train):
        gate = f"periods before the test in which customers differ in what {task.name} predicts"
        raise GateFailed(gate, needed="1 to learn from and 1 to choose by", found="none", advice="use more history")
    test = labels.get(splits.test, np.empty(0))
    if len(test) < LEAST_TEST_CUSTOMERS or not varied([splits.test]):
        alike = f"{counted(len(test), 'customer')}, all alike" if len(test) else "none"
        found = counted(len(test), "customer") if len(test) < LEAST_TEST_CUSTOMERS else alike
        needed = f"{LEAST_TEST_CUSTOMERS} customers who differ in what {task.name} predicts"
        raise GateFailed(f"customers to test on, {splits.test:%Y-%m-%d}", needed=needed, found=found)
    return replace(splits, folds=folds or calibration[-1:], calibration=calibration)


def _has_any(task: Task, label: np.ndarray) -> bool:
    """Return whether there is spend to learn amounts from; of other labels any two will do."""
    return task.kind != "amount" or int((label > 0).sum()) > 1
