"""Small samples to measure: random ones full of ties and zeros, and one whose truth is known."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from training.metrics import METRICS

PROBABILITY, AMOUNT = METRICS["probability"], METRICS["amount"]
# decile:           1    2    3    4    5    6    7    8    9   10, two rows each, highest first
ACTUAL = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], float)
PREDICTED = np.linspace(0.975, 0.025, 20)
# Few distinct values, so that most samples hold ties; the amounts hold zeros, as those of customers do.
LABELS = {"probability": st.sampled_from([0.0, 1.0]), "amount": st.sampled_from([0.0, 0.0, 5.0, 12.5, 80.0])}
LABELS["days"] = LABELS["amount"]
SCORES = {
    "probability": st.sampled_from([0.05, 0.2, 0.2, 0.5, 0.7, 0.95]),
    "amount": st.sampled_from([0.0, 3.0, 7.5, 7.5, 60.0]),
}
SCORES["days"] = SCORES["amount"]


@st.composite
def weighted_samples(draw, kind):
    """Actual, predicted and whole-number weights of 2 to 25 rows; at least one row weighs something."""
    row = st.tuples(LABELS[kind], SCORES[kind], st.integers(0, 3))
    rows = draw(st.lists(row, min_size=2, max_size=25).filter(lambda rows: any(weight for *_, weight in rows)))
    return tuple(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))


def value_of(metric, actual, predicted, weights=None):
    actual, predicted = np.asarray(actual, float), np.asarray(predicted, float)
    weights = np.ones(len(actual)) if weights is None else weights
    (value,) = metric.compute(actual, predicted, np.atleast_2d(weights))
    return value


def simulated(row_count, *, seed, noise=0.0):
    """A binary outcome of a logistic model, and its true probabilities, blurred by `noise`."""
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=row_count)
    actual = (generator.random(row_count) < 1 / (1 + np.exp(1 - signal))).astype(float)
    blurred = signal + noise * generator.normal(size=row_count)
    return actual, 1 / (1 + np.exp(1 - blurred))
