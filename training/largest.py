"""The one customer whose spend outweighs the others': what was measured with and without that row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scoring.parts import Floats
from training.metrics import Estimate

LARGE_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """The customer who spent most after the test cutoff: the share of all spend, and the model measured without.

    `holds` and `holds_without` say whether the comparisons of the gate hold with that customer and without.
    """

    share: float
    estimates: Mapping[str, Estimate]
    without: Mapping[str, Estimate]
    holds: bool
    holds_without: bool

    def told(self) -> dict[str, Any]:
        """Return it as a report holds it."""
        return asdict(self)

    def __str__(self) -> str:
        figures = "; ".join(f"{name} {self._both(name)}" for name in ("mae", "normalised_gini", "total_ratio"))
        head = f"one customer is {self.share:.0%} of what was spent after the test cutoff: {figures}"
        if self.holds == self.holds_without:
            return f"{head}; the verdict is the same without"
        return f"{head}; the verdict hangs on that one customer: without, the gate would say otherwise"

    def _both(self, name: str) -> str:
        return f"{self.estimates[name]}, {self.without[name]} without"


def largest_of(actual: Floats) -> tuple[int, float] | None:
    """Return the row of the largest amount and its share of all, None where no row is a tenth of them."""
    total = float(np.sum(actual))
    if len(actual) < 2 or total <= 0:  # noqa: PLR2004 - without the only row there is nothing
        return None
    row = int(np.argmax(actual))
    share = float(actual[row]) / total
    return (row, share) if share >= LARGE_SHARE else None
