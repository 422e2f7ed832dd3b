"""Every rival keeps the contract: one value a row, the same every time, from its own columns alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.models.histories import AGE, FREQUENCY, HISTORY, RECENCY, VALUE, summarise
from benchmarks.models.rivals import OWN_BG_NBD, RIVALS, Past, Rival, ask
from benchmarks.models.stretch import stretched, stretched_each
from scoring.parts import Kind

FEATURES = ("order_recency_live_days", "order_count_30d", "order_count_365d", "spend_amount_365d", "visit_gap_mean_90d")
HORIZON = 30
ASKED = pytest.mark.parametrize(
    ("rival", "kind"),
    [(rival, kind) for rival in (*RIVALS, OWN_BG_NBD) for kind in rival.kinds],
    ids=lambda value: value.name if isinstance(value, Rival) else value,
)


def _histories(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw customers as BG/NBD has them: repeat visits, days to the last, age, and orders in the days that follow."""
    drawn = []
    for _customer in range(count):
        rate, leaves, age = random.gamma(1.0, 1 / 20), random.beta(0.8, 4.0), float(random.integers(40, 300))
        visits, last, now, later = 0, 0.0, 0.0, 0
        while (now := now + np.ceil(random.exponential(1 / rate))) <= age + HORIZON:
            visits, last, later = (visits + 1, now, later) if now <= age else (visits, last, later + 1)
            if random.random() < leaves:
                break
        drawn.append((visits, last, age, later))
    columns = np.array(drawn, np.float64).T
    return columns[0], columns[1], columns[2], columns[3]


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    """600 customers: features and histories of one instant, and what they then did."""
    random = np.random.default_rng(3)
    count = 600
    visits, recency, age, orders = _histories(random, count)
    value = np.where(visits > 0, random.gamma(8, 5, count), 0.0)
    rows = pd.DataFrame({FREQUENCY: visits, RECENCY: recency, AGE: age, VALUE: value})
    return rows.assign(
        order_recency_live_days=rows[AGE] - rows[RECENCY],
        order_count_30d=random.binomial(visits.astype(int), 30 / age).astype(float),
        order_count_365d=rows[FREQUENCY] + 1,
        spend_amount_365d=(rows[FREQUENCY] + 1) * 40,
        visit_gap_mean_90d=np.where(visits > 3, 90 / (visits + 1), np.nan),
        orders=orders,
        spend=orders * 40,
        other="not a number",
    )


@pytest.fixture
def past(customers: pd.DataFrame):
    def of(kind: Kind) -> Past:
        label = (customers["orders"] > 0).astype(float) if kind == "probability" else customers["spend"]
        return Past(
            rows=customers,
            label=label.to_numpy(),
            known=customers[list(HISTORY)],
            kind=kind,
            horizon_days=HORIZON,
            asked_days=HORIZON,
        )

    return of


def _require(rival: Rival) -> None:
    if not rival.is_here:
        pytest.skip(f"the package {rival.package} is not installed: `make .venv/installed-for-rivals`")


@ASKED
class TestEveryRival:
    def test_it_answers_every_row_in_the_labels_unit(self, rival, kind, past, customers):
        _require(rival)
        said = ask(rival, past(kind), customers, FEATURES)
        assert (said.shape, said.dtype) == ((len(customers),), np.float64)
        assert np.isfinite(said).all()
        assert said.min() >= 0
        assert kind == "amount" or said.max() <= 1
        assert len(np.unique(said)) > 10

    def test_the_same_past_gives_the_same_answers(self, rival, kind, past, customers):
        _require(rival)
        first, again = (ask(rival, past(kind), customers, FEATURES) for _time in range(2))
        np.testing.assert_allclose(first, again, rtol=1e-12)  # threads add up a forest's trees in no order

    def test_an_answer_does_not_depend_on_who_else_is_asked_about(self, rival, kind, past, customers):
        _require(rival)
        alone = ask(rival, past(kind), customers.iloc[5:25], FEATURES)
        np.testing.assert_allclose(alone, ask(rival, past(kind), customers, FEATURES)[5:25], rtol=1e-6)

    def test_it_is_handed_nothing_but_its_columns(self, rival, kind, past, customers):
        _require(rival)
        own = set(rival.columns(kind, FEATURES))
        foreign = {name: "spoiled" for name in customers.columns if name not in own}
        spoiled = customers.assign(**foreign)
        said = ask(rival, replace(past(kind), rows=spoiled), spoiled, FEATURES)
        np.testing.assert_allclose(said, ask(rival, past(kind), customers, FEATURES), rtol=1e-12)


@pytest.mark.parametrize("rival", [rival for rival in RIVALS if rival.looks_any_distance], ids=lambda r: r.name)
def test_who_looks_any_distance_says_more_of_a_longer_one(rival, past, customers):
    _require(rival)
    for kind in rival.kinds:
        near, far = (ask(rival, replace(past(kind), asked_days=days), customers, FEATURES) for days in (30, 200))
        assert (far >= near).all()
        assert far.sum() > 1.2 * near.sum()


class TestStretch:
    SAID = np.linspace(0.01, 0.9, 600)

    @pytest.mark.parametrize("kind", ["probability", "amount"])
    def test_no_distance_changes_nothing(self, kind, customers):
        said = stretched(self.SAID, customers, kind, from_days=30, to_days=30)
        np.testing.assert_allclose(said, self.SAID, rtol=1e-6)
        each = stretched_each(self.SAID, customers, customers, kind, from_days=30, to_days=30)
        np.testing.assert_allclose(each, self.SAID, rtol=1e-6)

    @pytest.mark.parametrize("kind", ["probability", "amount"])
    def test_one_number_keeps_the_order_and_says_more(self, kind, customers):
        said = stretched(self.SAID, customers, kind, from_days=30, to_days=200)
        assert (np.diff(said) > 0).all()
        assert (said > self.SAID).all()
        assert kind == "amount" or said.max() < 1


def test_a_history_counts_repeat_days_and_their_worth():
    visits = pd.DataFrame(
        [
            ("ann", "2024-01-01", 9.0),
            ("ann", "2024-01-11", 2.0),
            ("ann", "2024-01-21", 4.0),
            ("bob", "2024-01-30", 5.0),
        ],
        columns=["customer_id", "local_on", "value"],
    )
    found = summarise(visits, on=pd.Timestamp("2024-01-31"))
    assert found.to_numpy().tolist() == [["ann", 2.0, 20.0, 30.0, 3.0], ["bob", 0.0, 0.0, 1.0, 0.0]]
