"""The products of a shop as they may be offered: their names, their groups, and what is in stock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from facts.errors import RegularsError
from features.recommending.ids import Texts
from features.recommending.nearest import NOBODY

GROUPINGS = ("department", "category", "brand")
Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


class UnknownFilter(RegularsError):  # noqa: N818 - reads as the sentence it prints
    """A filter by something that products do not have here."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        has = ", ".join(known) if known else "nothing by which they could be filtered"
        super().__init__(f"products have no {name!r} to filter by; they have {has}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """One way in which products are grouped.

    Parameters
    ----------
    names
        What groups are called, in the order of their names.
    group
        (products,) the number of each one's group, `NOBODY` where none is known.
    start, product
        The products of group n, most popular first, are `product[start[n] : start[n + 1]]`.
    """

    names: Texts
    group: NDArray[np.int32]
    start: Numbers
    product: NDArray[np.int32]

    @classmethod
    def of(cls, names: pd.Series[str], popularity: Floats) -> Grouping:
        """Group (products,) names; missing ones are of no group."""
        group, values = pd.factorize(names, sort=True)
        order = np.lexsort((np.arange(len(group)), -popularity, group))
        order = order[group[order] != NOBODY]
        start = np.searchsorted(group[order], np.arange(len(values) + 1))
        return cls(names=Texts.of(values), group=group.astype(np.int32), start=start, product=order.astype(np.int32))

    def of_groups(self, groups: Numbers) -> list[Numbers]:
        """Return the products of some groups, each most popular first."""
        return [self.product[self.start[group] : self.start[group + 1]].astype(np.int64) for group in groups.tolist()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The products that are known, by number.

    Parameters
    ----------
    product_ids
        In their order.
    names
        What they are called; empty where it is not known.
    is_offered
        (products,) whether the last feed has them, in stock.
    groupings
        By department, category and brand, as far as the shop tells them.
    """

    product_ids: Texts
    names: Texts
    is_offered: NDArray[np.bool_]
    groupings: Mapping[str, Grouping]

    def __len__(self) -> int:
        return len(self.product_ids)

    def called(self, number: int) -> str:
        """Return what a product is called, its id where it has no name."""
        return self.names.text(number) or self.product_ids.text(number)

    def chosen(self, filters: Mapping[str, Sequence[str]]) -> Mapping[str, Numbers]:
        """Return the groups that filters name, by grouping; names that are of no group are left out.

        Raises
        ------
        UnknownFilter
            Products are not grouped that way here.
        """
        chosen = {}
        for name, wanted in filters.items():
            if name not in self.groupings:
                raise UnknownFilter(name, list(self.groupings))
            found = (self.groupings[name].names.find(value) for value in wanted)
            chosen[name] = np.array([number for number in found if number is not None], dtype=np.int64)
        return chosen

    def unknown_groups(self, filters: Mapping[str, Sequence[str]]) -> list[str]:
        """Return what filters name that no product is of: "category 'MILK'"."""
        return [
            f"{name} {value!r}"
            for name, wanted in filters.items()
            for value in wanted
            if self.groupings[name].names.find(value) is None
        ]

    def best_of(self, chosen: Mapping[str, Numbers], popularity: Floats, count: int) -> NDArray[np.int32]:
        """Return the most popular products that are offered and of the chosen groups, as many as asked at most.

        Only the products of the grouping that leaves fewest are looked at. `popularity` is (products,).
        """
        lists = {name: self.groupings[name].of_groups(groups) for name, groups in chosen.items()}
        best = [np.empty(0, dtype=np.int64)]
        for products in min(lists.values(), key=lambda lists: sum(map(len, lists))):
            kept = products[self.are_chosen(products, chosen) & self.is_offered[products]]
            best.append(kept[:count])
        every = np.concatenate(best)
        return every[np.lexsort((every, -popularity[every]))][:count].astype(np.int32)

    def are_chosen(self, products: Numbers, chosen: Mapping[str, Numbers]) -> NDArray[np.bool_]:
        """Return of (n,) products whether they are of the chosen groups."""
        kept = np.ones(len(products), dtype=bool)
        for name, groups in chosen.items():
            kept &= np.isin(self.groupings[name].group[products], groups)
        return kept
