"""Live features of quiet customers: those of `features.live`, bit for bit, by the column.

Most of a shop is quiet most of the time; `features.live_many` says who.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

import numpy as np

from facts.carries import BROWSING_EVENTS
from features.live import LIVE, LiveFeature, live_features
from features.live_many import Many
from features.live_measures import DaysSince, OfSnapshot

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quiet_matrix(many: Many, *, zone: tzinfo, features: Sequence[LiveFeature] = LIVE) -> NDArray[np.float32]:
    """Answer `live_features` for many quiet customers of one snapshot at one instant, as (customers, features) float32.

    What is not made of the snapshot is the same of all of them.
    """
    answers = np.empty((len(many), len(features)), dtype=np.float32)
    answers[:] = live_features(None, (), at=many.at, zone=zone, features=features).vector
    for place, feature in enumerate(features):
        if feature.measure.snapshot and isinstance(feature.measure, OfSnapshot):
            answers[:, place] = feature.measure.of_many(many)
    return answers


def that_last(features: Sequence[LiveFeature]) -> frozenset[str]:
    """Return the events of which the features ask no more than when they last occurred."""
    return frozenset(f.measure.event for f in features if isinstance(f.measure, DaysSince))


def that_are_loud(features: Sequence[LiveFeature]) -> frozenset[str]:
    """Return the events, but for those of orders, of which the features ask more: who has one is not quiet."""
    asked = {name for f in features if not isinstance(f.measure, DaysSince) for name in f.measure.events}
    return frozenset(asked | set(BROWSING_EVENTS if any("browsing" in f.needs for f in features) else ()))
