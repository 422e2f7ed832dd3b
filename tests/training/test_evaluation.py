"""The gate: who becomes champion, decided by paired differences."""

from __future__ import annotations

import pytest

from training.evaluation import Comparison, Evaluation
from training.metrics import Estimate


def _comparison(low, high, *, must_win):
    return Comparison(baseline="b", advantage=Estimate(value=(low + high) / 2, low=low, high=high), must_win=must_win)


@pytest.mark.parametrize(
    ("low", "high", "must_win", "holds"),
    [
        (0.01, 0.03, True, True),
        (-0.01, 0.03, True, False),  # better, but not beyond noise
        (-0.01, 0.03, False, True),
        (-0.03, 0.01, False, True),  # worse, but not beyond noise
        (-0.03, -0.01, False, False),
        (-0.03, -0.01, True, False),
    ],
)
def test_a_single_feature_must_be_beaten_and_no_other_may_win(low, high, must_win, holds):
    assert _comparison(low, high, must_win=must_win).holds is holds


def test_one_failed_comparison_refuses():
    kept = {"actual": None, "predictions": {}, "estimates": {}, "deciles": None, "gate_metric": "auc"}
    good, bad = _comparison(0.01, 0.02, must_win=True), _comparison(-0.01, 0.02, must_win=True)
    assert Evaluation(comparisons=(good, good), **kept).is_champion
    refused = Evaluation(comparisons=(good, bad), **kept)
    assert not refused.is_champion
    assert refused.verdict[0] == "refused as champion, judged by auc"
    assert "fails" in refused.verdict[2]
