"""BG/NBD against its paper's figures, against its own process simulated, and by its laws."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, replace
from importlib.metadata import distribution

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features import bg_nbd
from features.bg_nbd import (
    BgNbd,
    CannotFit,
    ImpossibleHistory,
    ImpossibleParameters,
    alive_probability,
    expected_orders,
    fit,
    log_likelihood,
)

PAPER = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
GROCER = BgNbd(r=1.2, alpha=1.5, a=0.4, b=3.0)
QUITTERS = BgNbd(r=2.0, alpha=6.0, a=1.5, b=1.2)
SHOPS = pytest.mark.parametrize("shop", [PAPER, GROCER, QUITTERS], ids=["paper", "grocer", "quitters"])
Floats = NDArray[np.float64]
NAMES = ["r", "alpha", "a", "b"]
History = tuple[Floats, Floats, Floats]


@pytest.fixture(scope="module")
def cdnow() -> History:
    path = distribution("lifetimes").locate_file("lifetimes/datasets/cdnow_customers_summary.csv")
    table = pd.read_csv(str(path))
    return table["frequency"].to_numpy(float), table["recency"].to_numpy() * 7, table["T"].to_numpy() * 7


@dataclass(frozen=True)
class Simulated:
    """What is known of customers at their cutoffs, and what is not."""

    known: History
    is_alive: NDArray[np.bool_]
    orders: Floats  # within the horizon


def simulate(shop: BgNbd, customers: int, *, seed: int = 1, horizon_days: float = 90) -> Simulated:
    random = np.random.default_rng(seed)
    rate = random.gamma(shop.r, 1 / shop.alpha, customers) / shop.unit_days
    leaving = random.beta(shop.a, shop.b, customers)
    age = random.uniform(10, 300, customers)
    x, t_x, orders, now = np.zeros((4, customers))
    left_at = np.full(customers, np.inf)
    there = np.arange(customers)
    while there.size:
        now[there] += random.exponential(1 / rate[there])
        there = there[now[there] < age[there] + horizon_days]
        is_known = now[there] < age[there]
        x[there] += is_known
        orders[there] += ~is_known
        t_x[there] = np.where(is_known, now[there], t_x[there])
        leaves = random.random(there.size) < leaving[there]
        left_at[there[leaves]] = now[there[leaves]]
        there = there[~leaves]
    return Simulated((x, t_x, age), left_at > age, orders)


class TestPublished:
    """Fader, Hardie & Lee (2005), table 2, and the worked customer of their spreadsheet note."""

    def test_the_fit_of_cdnow(self, cdnow: History):
        shop = fit(*cdnow)
        assert [round(value, 3) for value in astuple(shop)] == [0.243, 4.414, 0.793, 2.426, 7.0]
        assert round(log_likelihood(shop, *cdnow), 1) == -9582.4
        assert cdnow[0].size == 2357

    def test_the_orders_to_expect_of_one_customer_within_39_weeks(self):
        assert expected_orders(PAPER, 2, 30.43 * 7, 38.86 * 7, 39 * 7) == pytest.approx(1.226, abs=5e-4)

    def test_every_start_ends_at_the_same_optimum(self, cdnow: History):
        rows = bg_nbd._rows(*cdnow).in_units_of(200)
        first, *others = (bg_nbd._likeliest(rows, starts=[start]) for start in bg_nbd._STARTS)
        assert others == [pytest.approx(first, rel=1e-4)] * 2


class TestAgainstTheProcess:
    @SHOPS
    def test_the_fit_finds_the_parameters_within_four_standard_errors(self, shop: BgNbd):
        known = simulate(shop, 8000).known
        found = np.log(astuple(fit(*known))[:4])
        assert (np.abs(found - np.log(astuple(shop)[:4])) < 4 * standard_errors(found, known)).all()

    @SHOPS
    def test_orders_come_as_expected(self, shop: BgNbd):
        seen = simulate(shop, 60_000)
        expected = expected_orders(shop, *seen.known, horizon_days=90)
        for group in by_size(expected):
            error = seen.orders[group].std() / np.sqrt(group.size)
            assert seen.orders[group].mean() == pytest.approx(expected[group].mean(), abs=4 * error)

    @SHOPS
    def test_as_many_are_alive_as_said(self, shop: BgNbd):
        seen = simulate(shop, 60_000)
        said = alive_probability(shop, *seen.known)
        for group in by_size(said):
            error = np.sqrt((said[group] * (1 - said[group])).sum()) / group.size
            assert seen.is_alive[group].mean() == pytest.approx(said[group].mean(), abs=4 * error + 1e-12)


def by_size(values: Floats) -> list[NDArray[np.intp]]:
    return np.array_split(np.argsort(values, kind="stable"), 8)


def standard_errors(logs: Floats, known: History) -> Floats:
    """From the curvature of the log-likelihood at the logarithms of four parameters."""
    steps = 1e-3 * np.eye(4)

    def value(at: Floats) -> float:
        return log_likelihood(BgNbd(**dict(zip(NAMES, np.exp(at), strict=True))), *known)

    curvature = [
        [value(logs + p + q) - value(logs + p - q) - value(logs - p + q) + value(logs - p - q) for q in steps]
        for p in steps
    ]
    return np.sqrt(np.diag(np.linalg.inv(-np.array(curvature) / 4e-6)))


class TestFit:
    def test_neither_order_nor_repetition_nor_unit_matter(self):
        known = simulate(GROCER, 500).known
        once = fit(*known)
        mixed = np.random.default_rng(0).permutation(500)
        assert astuple(fit(*(column[mixed] for column in known))) == pytest.approx(astuple(once), rel=1e-5)
        times = np.arange(500) % 3 + 1
        repeated = fit(*(np.repeat(column, times) for column in known))
        assert astuple(repeated) == pytest.approx(astuple(fit(*known, weights=times)), rel=1e-5)
        assert repeated.r != pytest.approx(once.r, rel=1e-3)
        in_days = fit(*known, unit_days=1)
        assert in_days.alpha == pytest.approx(7 * once.alpha, rel=1e-5)
        assert expected_orders(in_days, *known, 30) == pytest.approx(expected_orders(once, *known, 30), rel=1e-4)

    def test_the_same_histories_give_the_same_parameters(self):
        known = simulate(PAPER, 2000).known
        assert fit(*known) == fit(*known)

    def test_some_customers_stand_for_many(self):
        known = simulate(PAPER, 8000).known
        everyone = bg_nbd._distinct(bg_nbd._rows(*known).in_units_of(7))
        some = bg_nbd._few(everyone, most_rows=2000)
        assert some.x.size <= 2000
        assert some.weight.sum() == pytest.approx(8000)
        by_all, by_some = np.log(bg_nbd._likeliest(everyone)), np.log(bg_nbd._likeliest(some))
        assert (np.abs(by_some - by_all) < 4 * np.sqrt(8000 / 2000) * standard_errors(by_all, known)).all()
        assert (by_some != by_all).any()

    def test_a_history_stands_for_as_many_customers_as_it_did(self):
        k = np.arange(1.0, 201)
        some = bg_nbd._few(bg_nbd._rows(k, k, k, np.where(k == 5, 801, 1)), most_rows=100)
        assert some.weight[some.x == 5] == pytest.approx(801, abs=10)
        assert some.weight[some.x != 5].sum() == pytest.approx(199, abs=10)

    def test_beyond_fifty_thousand_histories_the_fit_is_as_likely_as_the_truth(self):
        known = simulate(PAPER, 60_000).known
        assert bg_nbd._distinct(bg_nbd._rows(*known)).x.size > bg_nbd._MOST_ROWS
        assert log_likelihood(fit(*known), *known) > log_likelihood(PAPER, *known) - 1

    def test_the_slope_is_that_of_the_log_likelihood(self):
        rows = bg_nbd._rows(*simulate(GROCER, 300).known).in_units_of(7)
        logs = np.log([0.7, 2.0, 0.6, 1.7])
        _, slope = bg_nbd._mean_log_likelihood(logs, rows)
        for given_slope, step in zip(slope, 1e-5 * np.eye(4), strict=True):
            rise = bg_nbd._mean_log_likelihood(logs + step, rows)[0] - bg_nbd._mean_log_likelihood(logs - step, rows)[0]
            assert rise / 2e-5 == pytest.approx(given_slope, rel=1e-5)

    def test_a_shop_that_nobody_leaves_has_everyone_alive(self):
        k = np.ones(100)
        shop = fit(20 * k, 140 * k, 140 * k)
        assert alive_probability(shop, 20, 140, 141) > 0.999
        assert expected_orders(shop, 20, 140, 140, 70) == pytest.approx(10, rel=0.03)

    @pytest.mark.parametrize(
        ("customers", "returned", "said"),
        [
            (49, 49, "49 customers, at least 50 are needed"),
            (60, 9, "9 of 60 customers came back, 10 are needed"),
            (1000, 0, "0 of 1,000 customers came back, 10 are needed"),
            (0, 0, "0 customers"),
        ],
    )
    def test_too_little_is_refused(self, customers: int, returned: int, said: str):
        came_back = (np.arange(customers) < returned).astype(float)
        with pytest.raises(CannotFit, match=f"^cannot fit BG/NBD: {said}"):
            fit(came_back, 10 * came_back, np.full(customers, 90.0))

    def test_an_optimum_not_reached_is_refused(self):
        rows = bg_nbd._rows(*simulate(PAPER, 500).known).in_units_of(100)
        with pytest.raises(CannotFit, match="not converged after 1 iterations"):
            bg_nbd._likeliest(rows, most_iterations=1)


@st.composite
def shops(draw: st.DrawFn) -> BgNbd:
    r, alpha, a, b = (10 ** draw(st.floats(-2, 2)) for _ in range(4))
    return BgNbd(r=r, alpha=alpha, a=a, b=b)


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, float, float]:
    frequency = draw(st.sampled_from([0, 1, 2, 7, 60, 1000]))
    recency = draw(st.floats(1, 2000)) if frequency else 0.0
    return frequency, recency, recency + draw(st.floats(0, 2000))


class TestLaws:
    @settings(deadline=None)
    @given(shops(), histories(), st.floats(0.1, 4000))
    def test_the_longer_the_silence_the_less_alive(self, shop: BgNbd, known: tuple[int, float, float], days: float):
        frequency, recency, age = known
        now, later = alive_probability(shop, [frequency] * 2, [recency] * 2, [age, age + days])
        assert 0 < later <= now <= 1
        assert frequency or now == later == 1
        assert not (frequency and 1e-300 < now < 1 - 1e-9) or later < now

    @settings(deadline=None)
    @given(shops(), histories(), st.floats(0.01, 4000), st.floats(1, 50))
    def test_the_further_the_horizon_the_more_orders(
        self, shop: BgNbd, known: tuple[int, float, float], days: float, times: float
    ):
        near, far = (float(expected_orders(shop, *known, horizon)) for horizon in (days, days * times))
        assert 0 < near <= far * (1 + 1e-7)
        assert far <= near * times * (1 + 1e-7)  # they can only become fewer a day

    @settings(deadline=None)
    @given(shops(), histories(), st.floats(0.01, 4000), st.sampled_from([1.0, 7.0, 365.25]))
    def test_the_unit_of_time_does_not_matter(
        self, shop: BgNbd, known: tuple[int, float, float], days: float, unit_days: float
    ):
        other = replace(shop, alpha=shop.alpha * 7 / unit_days, unit_days=unit_days)
        assert alive_probability(other, *known) == pytest.approx(alive_probability(shop, *known), rel=1e-6)
        assert expected_orders(other, *known, days) == pytest.approx(expected_orders(shop, *known, days), rel=1e-6)

    @settings(deadline=None)
    @given(shops(), st.lists(histories(), max_size=5))
    def test_a_customer_s_answer_does_not_depend_on_the_others(
        self, shop: BgNbd, known: list[tuple[int, float, float]]
    ):
        columns = np.array(known, dtype=float).reshape(-1, 3).T
        together = expected_orders(shop, *columns, 30)
        assert together.tolist() == [float(expected_orders(shop, *one, 30)) for one in known]

    @settings(deadline=None)
    @given(shops())
    def test_parameters_survive_json(self, shop: BgNbd):
        assert BgNbd.from_json(json.loads(json.dumps(shop.to_json()))) == shop


class TestRefusals:
    @pytest.mark.parametrize(
        "row",
        [(-1, 0, 9), (1.5, 3, 9), (1, 10, 9), (1, 0, 9), (1, -1, 9), (1, np.nan, 9), (0, 0, np.inf), (np.nan, 1, 9)],
    )
    def test_figures_that_no_customer_can_have(self, row: tuple[float, float, float]):
        columns = np.array([(2, 5, 9), row]).T
        for ask in (fit, lambda *known: alive_probability(PAPER, *known), lambda *k: expected_orders(PAPER, *k, 30)):
            with pytest.raises(ImpossibleHistory, match=r"^row 1 cannot be: frequency"):
                ask(*columns)

    def test_columns_of_unlike_length(self):
        with pytest.raises(ImpossibleHistory, match=r"\(2,\), \(1,\)"):
            alive_probability(PAPER, [1, 2], [3], [9])

    @pytest.mark.parametrize("horizon_days", [-1, np.nan, np.inf])
    def test_horizons_that_do_not_exist(self, horizon_days: float):
        with pytest.raises(ImpossibleHistory, match="horizon"):
            expected_orders(PAPER, 1, 3, 9, horizon_days)

    def test_single_precision_is_forgiven(self):
        assert alive_probability(PAPER, 1, 700.1005, 700.1) == alive_probability(PAPER, 1, 700.1, 700.1)

    @pytest.mark.parametrize("wrong", [{"r": 0}, {"a": -1}, {"b": np.nan}, {"alpha": np.inf}, {"unit_days": 0}])
    def test_impossible_parameters(self, wrong: dict[str, float]):
        with pytest.raises(ImpossibleParameters, match=next(iter(wrong))):
            BgNbd.from_json(PAPER.to_json() | wrong)

    def test_missing_parameters(self):
        with pytest.raises(ImpossibleParameters, match="without 'alpha', 'b'"):
            BgNbd.from_json({"r": 1, "a": 1, "unit_days": 7})
