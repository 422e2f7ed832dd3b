"""What a model is given of a customer at an instant: features of the last snapshot, and live ones.

Live features stand in the place of those of the snapshot that move between two nights. Training, batch scoring and the
endpoint make their rows here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from facts.lake import short_hash
from features import catalog
from features.live import LIVE, AnyEvent, LiveFeature, SnapshotRow, live_matrix
from features.live_many import Many
from features.quiet import quiet_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPLACED = frozenset(feature.replaces for feature in LIVE if feature.replaces)
LIVE_NEEDS = frozenset(need for feature in LIVE for need in feature.needs)
_LIVE_BY_NAME: Mapping[str, LiveFeature] = {feature.name: feature for feature in LIVE}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a shop's models: features kept of the snapshot, then the live ones.

    Parameters
    ----------
    snapshot
        The features of the snapshots, in their order.
    live
        The live features that the shop has.
    """

    snapshot: tuple[str, ...]
    live: tuple[LiveFeature, ...]

    @classmethod
    def of(cls, snapshot: Sequence[str], has: Collection[str]) -> Inputs:
        """Return the inputs of a shop: its snapshots' features, and what its facts carry (`Shop.has`)."""
        held = set(snapshot)
        live = (f for f in LIVE if set(f.needs) <= set(has) and set(f.measure.snapshot) <= held)
        return cls(tuple(snapshot), tuple(live))

    @property
    def kept(self) -> tuple[str, ...]:
        """The features that are taken from the snapshot as they stand."""
        return tuple(name for name in self.snapshot if name not in REPLACED)

    @property
    def names(self) -> tuple[str, ...]:
        """All inputs, in the order in which models take them."""
        return (*self.kept, *(feature.name for feature in self.live))

    def matrix(
        self,
        snapshot: NDArray[np.float32],
        cutoffs: Sequence[datetime | None],
        events: Sequence[Collection[AnyEvent]],
        *,
        at: Sequence[datetime],
        zone: tzinfo,
    ) -> NDArray[np.float32]:
        """Make the inputs of some customers.

        Parameters
        ----------
        snapshot
            One row per customer: the snapshot's features, in their order.
        cutoffs
            Of each row; None for a customer whom the snapshot does not hold.
        events
            Each customer's events, those of the last `features.live.REACH` at least.
        at
            The instant of each row.

        Returns
        -------
        (customers, inputs) float32, missing as NaN.
        """
        asked = self._asked
        figures = snapshot[:, self._places(asked)].astype(np.float64).tolist()
        rows = [
            None if cutoff is None else SnapshotRow(cutoff, dict(zip(asked, values, strict=True)))
            for cutoff, values in zip(cutoffs, figures, strict=True)
        ]
        live = live_matrix(rows, events, at=at, zone=zone, features=self.live)
        return np.concatenate([snapshot[:, self._places(self.kept)], live], axis=1)

    def quiet_matrix(
        self,
        snapshot: NDArray[np.float32],
        last_at: Mapping[str, NDArray[np.float64]],
        *,
        cutoff: datetime,
        at: datetime,
        zone: tzinfo,
    ) -> NDArray[np.float32]:
        """Make the inputs of many quiet customers (`features.live_many`) of one snapshot at one instant, bit for bit.

        As `matrix` makes them, and a thousand times as fast.
        """
        columns = snapshot[:, self._places(self._asked)].astype(np.float64)
        many = Many(dict(zip(self._asked, columns.T, strict=True)), last_at, cutoff=cutoff, at=at)
        whole = np.empty((len(snapshot), len(self.names)), dtype=np.float32)
        whole[:, : len(self.kept)] = snapshot[:, self._places(self.kept)]
        whole[:, len(self.kept) :] = quiet_matrix(many, zone=zone, features=self.live)
        return whole

    @property
    def _asked(self) -> tuple[str, ...]:
        """The features of the snapshot that live ones are made of."""
        return tuple(dict.fromkeys(name for feature in self.live for name in feature.measure.snapshot))

    def _places(self, names: Sequence[str]) -> list[int]:
        place = {name: index for index, name in enumerate(self.snapshot)}
        return [place[name] for name in names]


@cache  # asked for by every request
def input_hash(names: tuple[str, ...]) -> str:
    """Return one short hash of a list of inputs: names, order, and what each measures.

    A model and the rows that it is offered must agree on it; a description may change without changing it.
    """
    live = [(name, repr(_LIVE_BY_NAME[name].measure)) for name in names if name in _LIVE_BY_NAME]
    return short_hash([catalog.feature_hash(names), live])
