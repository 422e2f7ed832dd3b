"""What a training refuses, and which folds it does without."""

from __future__ import annotations

import pandas as pd
import pytest

from facts.errors import GateFailed
from tests.builders import EPOCH, at
from training.enough import require_enough, usable_splits
from training.splits import split
from training.tasks import TASKS

CUTOFFS = [at(7 * week) for week in range(1, 12)]
SPLITS = split(CUTOFFS, horizon_days=7, test=CUTOFFS[-1], observed_from=EPOCH)


@pytest.mark.parametrize(
    ("task", "labels", "customers", "said"),
    [
        ("repurchase", [0, 1] * 60, 1, "customers to learn repurchase from: needed 50, found 1"),
        ("repurchase", [1] * 120, 120, "a customer who stayed away for the whole horizon: needed 20, found 0"),
        ("churn", [0] * 115 + [1] * 5, 120, "a customer who stayed away for the whole horizon: needed 20, found 5"),
        ("churn", [1] * 115 + [0] * 5, 120, "a customer who ordered within the horizon: needed 20, found 5"),
        ("clv", [0] * 120, 120, "a customer who spent anything within the horizon: needed 1, found 0"),
        ("next_order", [90] * 120, 120, "a customer who ordered again within the horizon: needed 1, found 0"),
    ],
)
def test_too_little_names_the_gate(task, labels, customers, said):
    frame = pd.DataFrame({"customer_id": [str(i % customers) for i in range(len(labels))], "label": map(float, labels)})
    with pytest.raises(GateFailed, match=said):
        require_enough(frame, TASKS[task])


def _rows(labels_at):
    rows = [(cutoff, label) for cutoff in CUTOFFS for label in labels_at(cutoff)]
    return pd.DataFrame(rows, columns=["cutoff", "label"]).astype({"cutoff": "datetime64[us, UTC]", "label": float})


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
class TestFolds:
    def test_varied_rows_change_nothing(self, task):
        assert usable_splits(task, _rows(lambda _cutoff: [0, 1] * 10), SPLITS) == SPLITS

    def test_a_cutoff_at_which_all_are_alike_judges_nothing(self, task):
        alike = SPLITS.folds[-1].validation
        kept = usable_splits(task, _rows(lambda cutoff: [1] * 20 if cutoff == alike else [0, 1] * 10), SPLITS)
        assert kept.folds == SPLITS.folds[:-1]
        assert alike not in {fold.validation for fold in kept.calibration}
        assert (kept.train, kept.test) == (SPLITS.train, SPLITS.test)

    def test_all_alike_before_the_test_is_refused(self, task):
        with pytest.raises(GateFailed, match=f"customers differ in what {task.name} predicts"):
            usable_splits(task, _rows(lambda cutoff: [0, 1] * 10 if cutoff == SPLITS.test else [1] * 20), SPLITS)

    @pytest.mark.parametrize("labels", [[1] * 20, [0, 1], []], ids=["alike", "few", "none"])
    def test_a_test_cutoff_that_tells_nothing_is_refused(self, task, labels):
        with pytest.raises(GateFailed, match="customers to test on"):
            usable_splits(task, _rows(lambda cutoff: labels if cutoff == SPLITS.test else [0, 1] * 10), SPLITS)
