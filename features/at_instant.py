"""What models are given of many customers of the lake at one instant: quiet ones by the column, others one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import numpy as np

from features.inputs import Inputs
from features.lake_events import EventsAt
from features.quiet import that_are_loud, that_last

if TYPE_CHECKING:
    from ibis.expr.types import Table
    from numpy.typing import NDArray

    from facts.lake import Lake


class InputsAt:
    """The inputs of a shop's models at one instant, made of its snapshot at `cutoff` and the lake's events since.

    Parameters
    ----------
    events
        The lake's, opened by an engine, which reads what matters of them once.
    cutoff
        Of the snapshot; None where none is known.
    """

    def __init__(
        self, inputs: Inputs, lake: Lake, events: Table, *, cutoff: datetime | None, at: datetime, zone: tzinfo
    ) -> None:
        self._inputs, self._cutoff, self._at, self._zone = inputs, cutoff, at, zone
        lasting, loud = that_last(inputs.live), that_are_loud(inputs.live)
        self._events = EventsAt(lake, events, cutoff=cutoff, at=at, lasting=lasting, loud=loud)

    def matrix(self, customer_ids: Sequence[str], snapshot: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make the inputs of some customers: those of `Inputs.matrix`, bit for bit.

        `snapshot` has a row per customer, the features of `Inputs.snapshot`; nothing but NaN for whom it does not hold.
        """
        told = self._events.of(customer_ids)
        whole = self._inputs.quiet_matrix(
            snapshot, told.last_at, cutoff=self._cutoff or self._at, at=self._at, zone=self._zone
        )
        if places := list(told.loud):
            whole[places] = self._inputs.matrix(
                snapshot[places],
                [self._cutoff] * len(places),
                list(told.loud.values()),
                at=[self._at] * len(places),
                zone=self._zone,
            )
        return whole
