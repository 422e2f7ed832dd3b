"""How the models are compared: the blend, the measures that the page adds, and the page itself."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.models.blend import blended, choose_weights
from benchmarks.models.measure import CORRELATION, measure, metrics_of
from benchmarks.models.shops import SHOPS
from benchmarks.models.table import build_page, read_parts, write_parts

RANDOM = np.random.default_rng(5)
TRUTH = RANDOM.uniform(0.05, 0.95, 2000)
CAME = (RANDOM.random(2000) < TRUTH).astype(float)
NOISE = RANDOM.uniform(0.05, 0.95, 2000)


class TestBlend:
    @pytest.mark.parametrize("kind", ["probability", "amount"])
    def test_its_ends_are_the_two_answers(self, kind):
        np.testing.assert_allclose(blended(kind, TRUTH, NOISE, 0.0), TRUTH)
        np.testing.assert_allclose(blended(kind, TRUTH, NOISE, 1.0), NOISE)

    def test_all_weight_goes_to_the_one_that_knows(self):
        for ours, theirs, most in ((TRUTH, NOISE, 0.1), (NOISE, TRUTH, 1.0)):
            (found,) = choose_weights("probability", [ours], [theirs], [CAME])
            assert most - 0.1 <= found.weight <= most

    def test_it_is_never_worse_where_the_weight_was_chosen(self):
        for found in choose_weights("amount", [TRUTH], [NOISE], [TRUTH * 0.5 + NOISE * 0.5]):
            assert found.weight == pytest.approx(0.5)
            assert found.fold_loss < found.fold_loss_alone


class TestMeasure:
    def test_the_correlation_is_that_of_repeated_rows(self):
        weights = RANDOM.integers(0, 4, 2000)
        repeated = [np.repeat(values, weights) for values in (CAME, TRUTH)]
        found = CORRELATION.compute(CAME, TRUTH, weights[None, :].astype(np.float32))
        assert found[0] == pytest.approx(np.corrcoef(*repeated)[0, 1], rel=1e-4)

    def test_advantages_and_distances(self):
        metrics = metrics_of("probability", is_of_orders=False)
        answers = {"floor": NOISE, "half": blended("probability", TRUTH, NOISE, 0.3), "limit": TRUTH}
        found = measure(metrics, CAME, answers, seed=1, draws=50)
        for metric in metrics[:3]:
            assert found.advantage("limit", "floor", metric).low > 0
            assert found.advantage("floor", "limit", metric).value == -found.advantage("limit", "floor", metric).value
            shares = [found.closed(name, metric, floor="floor", limit="limit").value for name in answers]
            assert (shares[0], shares[2]) == (0.0, 1.0)
            assert 0 < shares[1] < 1


PARTS = {name: f"## {name}\n\nwhat is said of {name}\n" for name in SHOPS}


class TestPage:
    def test_a_page_gives_back_what_it_says_of_each_shop(self):
        assert read_parts(build_page(PARTS)) == PARTS

    def test_one_shops_run_leaves_the_others(self, tmp_path):
        page = tmp_path / "page.md"
        first = next(iter(SHOPS))
        write_parts(PARTS, page)
        write_parts({first: "new\n"}, page)
        assert read_parts(page.read_text(encoding="utf-8")) == PARTS | {first: "new\n"}
