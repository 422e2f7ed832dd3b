"""Whether the sums of a young shop's windows are taken as recorded, or stretched to whole windows."""

from __future__ import annotations

from collections.abc import Sequence

from features.catalog import BY_NAME, RECORD, growing_window_days
from features.known import LONGEST_RECORD_DAYS
from features.measures import Ratio
from scoring.parts import Windows
from training.dataset import TrainingSet

AS_RECORDED, STRETCHED = "as recorded", "stretched"


def windows(features: Sequence[str], treatment: str) -> Windows | None:
    """Return what is done to a model's rows before its boosters see them; None where the record is not among them."""
    if RECORD not in features:
        return None
    record = list(features).index(RECORD)
    if treatment == AS_RECORDED:
        return Windows(record=record)
    grown = [(column, *_grows_by(name)) for column, name in enumerate(features)]
    stretched = [(column, days, over) for column, days, over in grown if days and days != over]
    columns, days, over = zip(*stretched, strict=True) if stretched else ((), (), ())
    return Windows(record=record, columns=columns, window_days=days, over_days=over)


def is_young(data: TrainingSet) -> bool:
    """Return whether the record is shorter, at some cutoff, than the longest window."""
    return RECORD in data.features and bool((data.frame[RECORD] < LONGEST_RECORD_DAYS).any())


def _grows_by(name: str) -> tuple[float, float]:
    """Return the window with which a feature grows, and the window of what it is over; 0 where there is none."""
    known = BY_NAME.get(name)
    if known is not None and isinstance(known.measure, Ratio):
        parts = growing_window_days(known.measure.numerator), growing_window_days(known.measure.denominator)
        return (float(parts[0]), float(parts[1])) if all(parts) else (0.0, 0.0)  # type: ignore[arg-type]
    return float(growing_window_days(name) or 0), 0.0
