"""How good a list of products is for a customer, held against the products of the next basket."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.metrics.bootstrap import Estimate, bootstrap_blocks, summary
from training.metrics.pairs import Floats

LENGTHS = (10, 20)
RANKING_METRICS: Mapping[str, str] = {
    "recall": "Share of the basket's products that are among the first k",
    "ndcg": "Discounted cumulative gain of the first k over the best possible (Järvelin & Kekäläinen 2002)",
    "hit_rate": "Share of customers with at least one product of the basket among the first k (personal hit ratio)",
}
NOBODY = -1  # in a list of products: none


def ranking_values(
    ranked: NDArray[np.integer], wanted: sparse.csr_array, *, lengths: tuple[int, ...] = LENGTHS
) -> dict[str, Floats]:
    """Measure lists of products: every metric at every length, by name ("recall_at_10"), (customers,) values.

    Parameters
    ----------
    ranked
        (customers, at least the greatest length) product numbers, best first, each at most once; `NOBODY` fills a list
        that is shorter.
    wanted
        (customers, products) what the next basket held, stored where it did. The values of a customer of whom nothing
        is wanted are missing.

    References
    ----------
    Li et al. (2023), "A next basket recommendation reality check", for the metrics and their parts.
    """
    counts = np.diff(wanted.indptr)
    hits = _hits(ranked, wanted)
    discounts = 1 / np.log2(np.arange(ranked.shape[1]) + 2)
    found: dict[str, Floats] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for k in lengths:
            ideal = np.concatenate([[0.0], np.cumsum(discounts[:k])])[np.minimum(counts, k)]
            found[f"recall_at_{k}"] = hits[:, :k].sum(axis=1) / counts
            found[f"ndcg_at_{k}"] = (hits[:, :k] * discounts[:k]).sum(axis=1) / ideal
            found[f"hit_rate_at_{k}"] = np.where(counts > 0, hits[:, :k].any(axis=1), np.nan)
    return found


def estimate_means(
    values: Mapping[str, Floats], *, draws: int, seed: int, clusters: NDArray[np.int64] | None = None
) -> dict[str, Estimate]:
    """Return the mean of each metric over the customers of whom it is known, with its bootstrap interval.

    All metrics have values of the same customers. Of differences between two lists of the same customers the interval
    is that of the paired difference. Rows of one cluster, a number each, are drawn together.
    """
    names, table = list(values), np.stack(list(values.values()), axis=1)
    known = ~np.isnan(table)
    cells = np.concatenate([np.where(known, table, 0.0), known], axis=1)
    if clusters is not None:
        order = np.argsort(clusters, kind="stable")
        cells = np.add.reduceat(cells[order], np.flatnonzero(np.diff(clusters[order], prepend=-1)))
    once = np.ones((1, len(cells)))
    sums = np.concatenate([w @ cells for w in (once, *bootstrap_blocks(len(cells), draws=draws, seed=seed))])
    with np.errstate(invalid="ignore"):
        means = sums[:, : len(names)] / sums[:, len(names) :]
    return {name: summary(column) for name, column in zip(names, means.T, strict=True)}


def _hits(ranked: NDArray[np.integer], wanted: sparse.csr_array) -> NDArray[np.bool_]:
    """Return (customers, length) whether each product of a list is wanted."""
    products = np.int64(wanted.shape[1])
    owners = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr))
    keys = np.arange(len(ranked))[:, None] * products + ranked
    return np.isin(keys, owners * products + wanted.indices) & (ranked >= 0)
