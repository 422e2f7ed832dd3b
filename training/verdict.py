"""What was measured of a model on the test cutoff, and the gate's verdict with its grounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.checks import Check
from training.groups import GroupMeasure
from training.largest import Largest
from training.metrics import Estimate
from training.potential import Growth

MODEL, CHAMPION = "model", "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The model held against one baseline: how much better it is by the gate's metric, and whether that passes.

    `label` is the version where the baseline is the champion. `margin`, in the metric's units, is by how much a model
    that need not win may seem worse.
    """

    baseline: str
    label: str = ""
    advantage: Estimate
    must_win: bool
    margin: float = 0.0

    @property
    def holds(self) -> bool:
        """Return whether the model wins beyond noise (single-feature baselines, the champion), or else does not lose.

        It loses where it is worse beyond noise, or by more than the margin, whatever the noise.
        """
        if self.must_win:
            return self.advantage.low > 0
        return self.advantage.high >= 0 and self.advantage.value >= -self.margin

    def __str__(self) -> str:
        at_most = f"not worse beyond noise, nor by more than {self.margin:.2g},"
        needed = "better beyond noise" if self.must_win else at_most
        verdict = "holds" if self.holds else "fails"
        other = f"{self.baseline} {self.label}".rstrip()
        return f"{needed} than {other}: {verdict}, difference {self.advantage:+.4g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Everything measured on the test cutoff.

    `estimates` is by predictor (the model and every baseline) and metric; `deciles` has one row per decile. `interval`
    measures the quantiles (rows, 3) of a model that has some, and of an amount the mean that they make.
    """

    actual: NDArray[np.float64]
    predictions: Mapping[str, NDArray[np.float64]]
    estimates: Mapping[str, Mapping[str, Estimate]]
    deciles: pd.DataFrame
    comparisons: tuple[Comparison, ...]
    gate_metric: str
    quantiles: NDArray[np.float64] | None = None
    interval: Mapping[str, Estimate] = field(default_factory=dict)
    groups: tuple[GroupMeasure, ...] = ()
    growth: Growth | None = None
    calibration_error_by_chance: float | None = None  # what perfect probabilities stay below in 97.5 % of samples
    largest: Largest | None = None
    checks: tuple[Check, ...] = ()
    obstacles: tuple[str, ...] = ()  # sentences: what keeps the model from being champion, whatever it measures

    @property
    def grounds(self) -> tuple[Comparison | Check, ...]:
        """Return all that the gate looks at."""
        return (*self.comparisons, *self.checks)

    @property
    def is_champion(self) -> bool:
        """Return whether every comparison and every check holds, and nothing else stands in the way."""
        return not self.obstacles and all(ground.holds for ground in self.grounds)

    @property
    def reason(self) -> str:
        """Return the verdict's reason in short: what failed, or by what it passed."""
        failed = [str(ground) for ground in self.grounds if not ground.holds]
        return "; ".join((*self.obstacles, *failed)) or f"beats all that it must by {self.gate_metric}"

    @property
    def verdict(self) -> tuple[str, ...]:
        """Return the verdict, then its grounds, as sentences."""
        head = "champion" if self.is_champion else "refused as champion"
        said = f"{head}, judged by {self.gate_metric} (95 % intervals)"
        return (said, *[str(ground) for ground in self.grounds], *self.obstacles)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what one should know beside the verdict, as sentences."""
        return (str(self.largest),) if self.largest else ()
