"""Figures: one contract for all of them, then how many marks each draws and what its title says."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from matplotlib.ticker import FixedLocator

from training.metrics import METRICS, Estimate
from training.plots import (
    Subject,
    calibration_plot,
    cutoffs_plot,
    decile_plot,
    drift_plot,
    gain_plot,
    importance_plot,
    learning_curve_plot,
    metric_comparison_plot,
    optimisation_plot,
    score_shift_plot,
    shap_summary_plot,
)

REPURCHASE = Subject(kind="probability", outcome="repurchase", horizon_days=30)
SPEND = Subject(kind="amount", outcome="spend", horizon_days=90)


def scored(row_count=300, *, seed=0):
    generator = np.random.default_rng(seed)
    probability = generator.beta(1, 3, size=row_count)
    return (generator.random(row_count) < probability).astype(int), probability


def trials(*rows):
    return pd.DataFrame(rows, columns=["number", "value", "state"])


def estimate(value, *, half=0.02):
    return Estimate(value=value, low=value - half, high=value + half)


def calibration(row_count=300):
    actual, predicted = scored(row_count)
    return calibration_plot(actual, {"calibrated": predicted, "raw": predicted**2}, subject=REPURCHASE)


def gain(row_count=300):
    actual, predicted = scored(row_count)
    return gain_plot(actual, predicted, {"recency_alone": np.round(predicted, 1)}, subject=REPURCHASE)


def shap(row_count=300, feature_count=20):
    values = np.random.default_rng(0).normal(size=(row_count, feature_count))
    names = [f"feature_{number}" for number in range(feature_count)]
    contributions = values * np.arange(1, feature_count + 1)
    return shap_summary_plot(names, contributions, np.where(values > 1, np.nan, values), subject=SPEND, unit="log")


def importance(feature_count=30):
    names = [f"a_feature_with_quite_a_long_name_{number}d" for number in range(feature_count)]
    return importance_plot(names, np.arange(feature_count), subject=REPURCHASE, row_count=24_000)


def optimisation():
    rows = [(0, 0.5, "COMPLETE"), (1, 0.6, "COMPLETE"), (2, None, "FAIL"), (3, 0.45, "PRUNED"), (4, 0.4, "COMPLETE")]
    return optimisation_plot(trials(*rows), objective="log loss", direction="minimize", subject=REPURCHASE)


def comparison():
    estimates = {"recency_alone": estimate(0.7), "model": estimate(0.8), "rfm_logistic": estimate(0.75)}
    return metric_comparison_plot(METRICS["probability"]["auc"], estimates, subject=REPURCHASE, row_count=300)


def deciles():
    return decile_plot(*scored(), subject=REPURCHASE)


def amount_deciles():
    actual, predicted = scored()
    return decile_plot(actual * 55.0, predicted * 60.0, subject=SPEND)


def drift(feature_count=30):
    names = [f"a_feature_with_quite_a_long_name_{number}d" for number in range(feature_count)]
    moved = np.where(np.arange(feature_count) < 7, 1.0, 0.1)
    return drift_plot(names, moved, np.full(feature_count, 0.25), subject=REPURCHASE, row_count=2_400)


def shifted_scores(row_count=300):
    _, predicted = scored(row_count)
    return score_shift_plot(predicted, predicted**2, 0.3, subject=REPURCHASE)


def over_cutoffs():
    days = [datetime(2024, month, 1, tzinfo=UTC) for month in range(1, 5)]
    estimates = {name: [estimate(value + 0.01 * i) for i in range(4)] for name, value in (("rfm", 0.7), ("model", 0.8))}
    return cutoffs_plot(
        METRICS["probability"]["auc"], days, estimates, estimate(0.81), subject=REPURCHASE, row_count=1_200
    )


def sizes():
    points = [(size, estimate(0.6 + 0.05 * i)) for i, size in enumerate((300, 600, 1_200, 2_400))]
    return learning_curve_plot(METRICS["probability"]["auc"], points, points[:2], subject=REPURCHASE, row_count=9_000)


FIGURES = {
    draw.__name__: draw
    for draw in (
        calibration,
        gain,
        deciles,
        amount_deciles,
        importance,
        shap,
        optimisation,
        comparison,
        drift,
        over_cutoffs,
        sizes,
        shifted_scores,
    )
}


def png_size(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return struct.unpack(">II", stream.getvalue()[16:24])


def words(figure):
    """Title and subtitle."""
    return [text.get_text().replace("\n", " ") for text in figure.texts]


@pytest.fixture(scope="module", params=FIGURES)
def figure(request):
    return FIGURES[request.param]()


@pytest.mark.filterwarnings("error")
class TestEveryFigure:
    def test_it_is_a_picture_of_900_by_600(self, figure):
        assert png_size(figure) == (900, 600)

    def test_title_and_subtitle_say_what_of_whom_and_how_many(self, figure):
        title, subtitle = words(figure)
        assert len(title) > 10
        assert "day horizon" in subtitle
        assert "n = " in subtitle
        assert "nan" not in title + subtitle

    def test_its_axes_are_labelled(self, figure):
        for axes in figure.axes:
            rows_are_named = isinstance(axes.yaxis.get_major_locator(), FixedLocator)
            assert axes.get_ylabel() or rows_are_named
            is_lowest = axes.get_label() != "<colorbar>" and axes.get_subplotspec().is_last_row()
            assert axes.get_xlabel() or not is_lowest

    def test_no_text_is_cut_off(self, figure):
        figure.draw_without_rendering()
        left, bottom, right, top = figure.get_tightbbox().extents
        width, height = figure.get_size_inches()
        assert 0 <= left < right <= width
        assert 0 <= bottom < top <= height


@pytest.mark.filterwarnings("error")
class TestWhereThereIsLittle:
    @pytest.mark.parametrize("row_count", [1, 2, 7])
    @pytest.mark.parametrize("draw", [calibration, gain, shap, shifted_scores])
    def test_few_customers(self, draw, row_count):
        assert png_size(draw(row_count)) == (900, 600)

    @pytest.mark.parametrize("label", [0, 1])
    @pytest.mark.parametrize("predicted", [np.full(12, 0.3), np.linspace(0, 1, 12)], ids=["constant", "spread"])
    def test_one_class(self, label, predicted):
        actual = np.full(12, label)
        figures = [
            calibration_plot(actual, {"raw": predicted}, subject=REPURCHASE),
            gain_plot(actual, predicted, {}, subject=REPURCHASE),
            decile_plot(actual, predicted, subject=REPURCHASE),
            decile_plot(actual, predicted, subject=SPEND),
        ]
        assert {png_size(figure) for figure in figures} == {(900, 600)}
        assert not any("nan" in text for figure in figures for text in words(figure))

    def test_one_customer_in_a_decile_plot(self):
        assert png_size(decile_plot([1], [0.4], subject=REPURCHASE)) == (900, 600)

    @pytest.mark.parametrize("feature_count", [1, 3])
    def test_few_features(self, feature_count):
        assert png_size(importance(feature_count)) == png_size(shap(30, feature_count)) == (900, 600)

    def test_a_feature_that_never_varies(self):
        flat = np.zeros((9, 1))
        assert png_size(shap_summary_plot(["flat"], flat, flat, subject=SPEND, unit="log")) == (900, 600)

    @pytest.mark.parametrize("rows", [[], [(0, None, "FAIL")], [(0, None, "PRUNED")], [(0, 0.5, "COMPLETE")]])
    def test_few_trials(self, rows):
        figure = optimisation_plot(trials(*rows), objective="auc", direction="maximize", subject=REPURCHASE)
        assert png_size(figure) == (900, 600)

    def test_a_metric_that_is_not_defined(self):
        unknown = Estimate(value=np.nan, low=np.nan, high=np.nan)
        estimates = {"constant": unknown, "model": estimate(0.8)}
        figure = metric_comparison_plot(METRICS["probability"]["auc"], estimates, subject=REPURCHASE, row_count=9)
        assert words(figure)[0] == "Best auc: model, with 0.800"
        assert png_size(figure) == (900, 600)


class TestMarks:
    def test_ten_bins_a_line_and_the_diagonal(self):
        above, below = calibration().axes
        assert [len(line.get_xdata()) for line in above.lines] == [10, 10, 2]
        assert above.get_xlim() == below.get_xlim()

    def test_equal_probabilities_are_not_parted(self):
        actual, _ = scored(300)
        figure = calibration_plot(actual, {"raw": np.repeat([0.1, 0.4, 0.6], 100)}, subject=REPURCHASE)
        assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [3, 2]

    def test_wilson_intervals_hold_the_rate(self):
        # Of 10 with no positive, the upper end is z^2 / (n + z^2) = 3.84 / 13.84.
        figure = calibration_plot(np.zeros(10), {"raw": np.full(10, 0.2)}, subject=REPURCHASE)
        ((low, high),) = figure.axes[0].collections[0].get_segments()
        assert low[1] == pytest.approx(0.0, abs=1e-12)
        assert high[1] == pytest.approx(0.27753, abs=1e-4)

    def test_the_gain_of_the_model_of_each_baseline_and_of_chance(self):
        labels = [text.get_text() for text in gain().axes[0].get_legend().get_texts()]
        assert labels == ["model", "recency_alone", "perfect order", "chance"]

    def test_the_top_decile_in_words(self):
        actual = np.repeat([1, 0, 0, 0, 0], 20)
        figure = gain_plot(actual, np.arange(100, 0, -1), {"chance": np.ones(100)}, subject=REPURCHASE)
        assert words(figure)[0] == "The top 10% by model hold 50.0% of all repurchase; best baseline 10.0%"
        assert words(decile_plot(actual, np.arange(100, 0, -1), subject=REPURCHASE))[0].startswith(
            "The top decile has 5.0 times"
        )

    @pytest.mark.parametrize("draw", [deciles, amount_deciles])
    def test_ten_bars_ten_intervals_ten_predictions(self, draw):
        (axes,) = draw().axes
        segments = axes.collections[0].get_segments()
        assert len(axes.patches) == len(segments) == len(axes.lines[0].get_xdata()) == 10
        for bar, ((_, low), (_, high)) in zip(axes.patches, segments, strict=True):
            assert low <= bar.get_height() <= high

    def test_a_bar_and_a_limit_for_each_of_twenty_features_and_those_beyond_it_counted(self):
        figure = drift()
        (axes,) = figure.axes
        assert len(axes.patches) == len(axes.collections[0].get_segments()) == 20
        assert words(figure)[0].startswith("7 of 30 features have drifted")

    def test_twenty_features_the_largest_first(self):
        (axes,) = importance().axes
        widths = [bar.get_width() for bar in axes.patches]
        assert len(widths) == 20
        assert widths == sorted(widths, reverse=True)
        assert axes.get_ylim()[0] > axes.get_ylim()[1]

    def test_fifteen_swarms_of_which_each_dot_is_a_customer(self):
        axes, _ = shap(2500).axes
        assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["feature_19", "feature_18"]
        dots = [len(swarm.get_offsets()) for swarm in axes.collections]
        assert len(axes.get_yticks()) == 15
        assert sum(dots) == 15 * 2000

    def test_a_swarm_stays_in_its_row(self):
        axes, _ = shap(2500).axes
        heights = np.concatenate([swarm.get_offsets()[:, 1] for swarm in axes.collections[:2]])
        assert np.abs(heights).max() <= 0.5

    @pytest.mark.parametrize(
        ("direction", "best"), [("minimize", [0.5, 0.5, 0.4]), ("maximize", [0.5, 0.6, 0.6])], ids=str
    )
    def test_the_best_so_far(self, direction, best):
        rows = [(4, 0.4, "COMPLETE"), (0, 0.5, "COMPLETE"), (1, 0.6, "COMPLETE"), (3, 0.1, "PRUNED"), (2, None, "FAIL")]
        figure = optimisation_plot(trials(*rows), objective="loss", direction=direction, subject=REPURCHASE)
        (line,) = figure.axes[0].lines
        assert list(line.get_xdata()) == [0, 1, 4]
        assert list(line.get_ydata()) == pytest.approx(best)
        assert "n = 5 trials: 3 complete" in words(figure)[1]

    def test_a_trial_far_off_does_not_flatten_the_others(self):
        rows = [(number, 0.4 + 0.001 * number, "COMPLETE") for number in range(9)] + [(9, 50.0, "COMPLETE")]
        figure = optimisation_plot(trials(*rows), objective="loss", direction="minimize", subject=REPURCHASE)
        assert figure.axes[0].get_ylim()[1] < 0.5
        assert sum(len(dots.get_offsets()) for dots in figure.axes[0].collections) == 10

    def test_predictors_stand_in_order_the_best_first(self):
        (axes,) = comparison().axes
        assert [label.get_text() for label in axes.get_yticklabels()] == ["model", "rfm_logistic", "recency_alone"]
        assert len(axes.collections) == 3

    @pytest.mark.parametrize(("name", "best"), [("mae", "low"), ("spearman", "high"), ("total_ratio", "near")])
    def test_the_best_depends_on_the_direction(self, name, best):
        estimates = {"low": estimate(0.2), "near": estimate(0.9), "high": estimate(1.5)}
        figure = metric_comparison_plot(METRICS["amount"][name], estimates, subject=SPEND, row_count=9)
        assert f": {best}, with" in words(figure)[0]

    def test_an_interval_may_lie_beside_its_value(self):
        # Resampling inflates a calibration error, see `Estimate`.
        beside = {"model": Estimate(value=0.01, low=0.012, high=0.03)}
        metric = METRICS["probability"]["expected_calibration_error"]
        assert png_size(metric_comparison_plot(metric, beside, subject=REPURCHASE, row_count=9)) == (900, 600)


def test_importing_does_nothing_and_drawing_needs_no_pyplot():
    program = """
import sys
from training import baselines, metrics, plots
assert not {"matplotlib", "sklearn", "scipy"} & set(sys.modules), "imported at the top"
subject = plots.Subject(kind="probability", outcome="churn", horizon_days=30)
plots.decile_plot([0, 1], [0.2, 0.4], subject=subject).savefig("/dev/null", format="png")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
