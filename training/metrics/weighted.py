"""Sums, means and ranks under weights of shape (draws, rows): rows of equal score are one group, in no order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics.pairs import Floats, Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class TieGroups:
    """Rows in ascending order of a score, those with an equal score as one group."""

    group_of_row: NDArray[np.intp]
    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    def sums(self, cells: Weights) -> Floats:
        """Sum (draws, rows) within each group: (draws, groups)."""
        ordered = cells[:, self.order]
        if len(self.starts) == len(self.order):
            return ordered.astype(np.float64, copy=False)
        summed: Floats = np.add.reduceat(ordered, self.starts, axis=1, dtype=np.float64)
        return summed


def tie_groups(score: Floats) -> TieGroups:
    """Group the rows of equal score, the lowest first."""
    _, group_of_row, counts = np.unique(score, return_inverse=True, return_counts=True)
    order = np.argsort(group_of_row, kind="stable")
    return TieGroups(group_of_row=group_of_row, order=order, starts=np.cumsum(counts) - counts)


def cumulative(cells: Floats) -> Floats:
    """Cumulate (draws, groups) along the groups, starting with a column of zeros: (draws, 1 + groups)."""
    return np.pad(np.cumsum(cells, axis=1), ((0, 0), (1, 0)))


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide, with NaN where there is nothing to divide by."""
    quotient: Floats = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=quotient, where=denominator != 0)


def mean(values: Floats, weights: Weights) -> Floats:
    """Average (rows,) values under the weights of each draw: (draws,)."""
    means: Floats = weights @ values / weights.sum(axis=1, dtype=np.float64)
    return means


def mid_ranks(mass: Floats) -> Floats:
    """Half the weight of the own group and all of those below: the rank that tied rows share, less a half."""
    return np.cumsum(mass, axis=1) - mass / 2


def rank_covariance(values: Floats, score: Floats, weights: Weights) -> Floats:
    """Total weight times the covariance of `values`, (rows,) or (draws, rows), with the mid-rank of `score`: (draws,).

    AUC, Spearman's correlation and the Gini index are all this covariance, scaled.

    References
    ----------
    Lerman & Yitzhaki (1989), "Improving the accuracy of estimates of Gini coefficients".
    """
    ties = tie_groups(score)
    mass, sums = ties.sums(weights), ties.sums(weights * values)
    products = np.einsum("dg,dg->d", mid_ranks(mass), sums)
    covariance: Floats = products - sums.sum(axis=1) * mass.sum(axis=1) / 2
    return covariance


def row_ranks(score: Floats, weights: Weights) -> Floats:
    """Give every row the mid-rank of its score in each draw: (draws, rows)."""
    ties = tie_groups(score)
    ranks: Floats = mid_ranks(ties.sums(weights))[:, ties.group_of_row]
    return ranks
