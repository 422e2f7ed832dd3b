"""A model's files, scores, reasons and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import xgboost

from features.inputs import input_hash
from scoring.answers import FeatureRows, MissingFeatures, answer
from scoring.model import TaskModel, UnusableModel
from scoring.model_files import BOOSTER_FILE, MODEL_FILE, onnx_name, read_model, write_model
from scoring.parts import QUANTILES, Calibration, Gate, Quantiles, Windows

FEATURES = ("order_count_365d", "b", "c")
NOW = datetime(2024, 3, 1, tzinfo=UTC)
TTL = timedelta(days=15)
ONNX_FILE = onnx_name(BOOSTER_FILE)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    values = np.random.default_rng(1).normal(size=(400, 3)).astype(np.float32)
    values[::7, 1] = np.nan
    values[:, 0] = np.abs(values[:, 0]) + 1
    return values


@pytest.fixture(scope="module")
def model(rows) -> TaskModel:
    label = (np.nan_to_num(rows[:, 1]) + rows[:, 2] > 0).astype(float)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, xgboost.DMatrix(rows, label), 12)
    return TaskModel(
        task="repurchase",
        kind="probability",
        horizon_days=7,
        features=FEATURES,
        feature_hash=input_hash(FEATURES),
        gate=Gate(feature="order_count_365d", at_least=1, said="orders in the last 365 days"),
        calibration=Calibration(method="platt", raw=(0.0, 0.5, 1.0), calibrated=(0.1, 0.4, 0.9)),
        booster=booster,
    )


def _rows(model, matrix, as_of):
    ids = [str(i) for i in range(len(matrix))]
    return FeatureRows(customer_ids=ids, features=model.features, matrix=matrix, features_as_of=as_of)


def test_what_is_written_is_read(model, rows, tmp_path):
    write_model(model, tmp_path)
    again = read_model(tmp_path, version="3")
    assert again.label == "regulars-repurchase/3"
    assert again == model.with_version("3")
    np.testing.assert_array_equal(again.score(rows), model.score(rows))
    assert {path.name for path in tmp_path.iterdir()} == {BOOSTER_FILE, ONNX_FILE, MODEL_FILE}


def test_one_row_scores_as_in_a_crowd(model, rows):
    together = model.score(rows)
    assert [model.score(rows[i : i + 1])[0] for i in range(20)] == together[:20].tolist()
    assert ((together >= 0) & (together <= 1)).all()
    assert model.score(rows[:0]).shape == (0,)


def test_another_number_of_features_is_refused(model, rows):
    with pytest.raises(UnusableModel, match="needs 3 features in its order, 2 features given"):
        model.score(rows[:, :2])


@pytest.fixture(scope="module")
def spending(model, rows) -> TaskModel:
    """Two parts, an interval with a booster of its own, and windows to stretch."""
    spend = np.exp(rows[:, 2]).astype(np.float32)
    amount = xgboost.train({"objective": "reg:gamma", "max_depth": 2}, xgboost.DMatrix(rows, spend), 8)
    levels = {"objective": "reg:quantileerror", "quantile_alpha": list(QUANTILES), "max_depth": 2}
    quantiles = xgboost.train(levels, xgboost.DMatrix(rows, np.log1p(spend)), 8)
    return replace(
        model,
        task="clv",
        kind="amount",
        currency="EUR",
        calibration=Calibration(method="none"),
        booster=amount,
        buys=model.booster,
        quantiles=Quantiles(booster=quantiles, link="log1p", shifts=(-0.1, 0.0, 0.2)),
        windows=Windows(record=1, columns=(0,), window_days=(90.0,), over_days=(0.0,)),
    )


@pytest.fixture(scope="module")
def waiting(model, rows) -> TaskModel:
    """Days whose median is the score, of one booster for all quantiles."""
    bound = {"label_lower_bound": np.exp(rows[:, 2]), "label_upper_bound": np.full(len(rows), np.inf)}
    survival = xgboost.train({"objective": "survival:aft"}, xgboost.DMatrix(rows, **bound), 4)
    quantiles = Quantiles(booster=survival, link="log", shifts=(-1.0, 0.0, 1.0))
    return replace(model, task="next_order", kind="days", booster=survival, quantiles=quantiles)


class TestAnInterval:
    def test_what_is_written_is_read(self, spending, waiting, rows, tmp_path):
        for made, files in ((spending, 7), (waiting, 3)):
            folder = tmp_path / made.task
            write_model(made, folder)
            again = read_model(folder)
            assert again == made
            assert len(list(folder.iterdir())) == files
            assert again.score(rows).tobytes() == made.score(rows).tobytes()
            assert again.figures(rows).interval.tobytes() == made.figures(rows).interval.tobytes()
            assert again.contributions(rows)[0].tobytes() == made.contributions(rows)[0].tobytes()

    def test_its_ends_are_in_order_and_possible(self, spending, waiting, rows):
        for made, most in ((spending, np.inf), (waiting, waiting.horizon_days)):
            interval = made.figures(rows).interval
            assert (np.diff(interval, axis=1) >= 0).all()
            assert interval.min() >= 0
            assert interval.max() <= most
        np.testing.assert_array_equal(waiting.score(rows), waiting.figures(rows).interval[:, 1])

    def test_two_parts_are_multiplied_and_so_explained(self, spending, rows):
        whole = spending.windows.whole(rows)
        chance, amount = spending.buys.inplace_predict(whole), spending.booster.inplace_predict(whole)
        said = spending.figures(rows)
        raw = (said.score - 0.05 * said.mean) / 0.95
        np.testing.assert_allclose(raw, chance.astype(np.float64) * amount, rtol=1e-6)
        parts, base = spending.contributions(rows)
        np.testing.assert_allclose(parts.sum(axis=1) + base, np.log(raw), atol=1e-4)

    def test_only_amounts_have_a_mean_and_it_is_of_their_interval(self, model, spending, waiting, rows):
        said = spending.figures(rows)
        low, middle, high = said.interval.T
        np.testing.assert_allclose(said.mean, 0.3 * low + 0.4 * middle + 0.3 * high)
        assert [*said.named("amount")] == ["amount", "p10", "p50", "p90", "mean"]
        assert [*waiting.figures(rows).named("days")] == ["days", "p10", "p50", "p90"]
        assert [*model.figures(rows).named("probability")] == ["probability"]

    def test_one_row_is_told_as_in_a_crowd(self, spending, rows):
        together = spending.figures(rows)
        for row in range(20):
            alone = spending.figures(rows[row : row + 1])
            assert (alone.score[0], alone.mean[0]) == (together.score[row], together.mean[row])

    def test_figures_of_some_are_missing_for_the_others(self, spending, rows):
        asked = np.array([False, True, False, True])
        said = spending.figures(rows[:4][asked])
        spread = said.among(asked)
        assert np.isnan(spread.interval).all(axis=1).tolist() == [True, False, True, False]
        assert spread.mean[asked].tolist() == said.mean.tolist()
        assert spread.spend_so_far is None


class TestYoungWindows:
    WINDOWS = Windows(record=2, columns=(0, 1), window_days=(90.0, 30.0), over_days=(0.0, 365.0))

    def test_a_sum_over_a_third_of_its_window_is_tripled(self):
        whole = self.WINDOWS.whole(np.array([[4, 1, 30]], np.float32))
        assert whole[0, 0] == pytest.approx(12)
        # Thirty days are whole; what they are over holds 30 of 365 days.
        assert whole[0, 1] == pytest.approx(30 / 365)

    def test_whole_windows_stay_and_nobody_sees_the_record(self):
        given = np.array([[4, 1, 365], [5, 2, np.nan]], np.float32)
        whole = self.WINDOWS.whole(given)
        np.testing.assert_allclose(whole[:, :2], given[:, :2])
        assert np.isnan(whole[:, 2]).all()
        assert given[0, 2] == 365


@pytest.mark.parametrize("name", [BOOSTER_FILE, ONNX_FILE, MODEL_FILE])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\x00\xff garbage", None], ids=["empty", "braces", "garbage", "gone"])
def test_a_damaged_file_is_named(model, tmp_path, name, damage):
    write_model(model, tmp_path)
    if damage is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(damage)
    with pytest.raises(UnusableModel, match=name):
        read_model(tmp_path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_cut_booster_is_named(model, tmp_path, kept):
    write_model(model, tmp_path)
    path = tmp_path / BOOSTER_FILE
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UnusableModel, match=r"booster\.ubj: its content is not what was written"):
        read_model(tmp_path)


def test_a_booster_with_another_number_in_it_is_refused(model, tmp_path):
    write_model(model, tmp_path)
    path = tmp_path / BOOSTER_FILE
    content = bytearray(path.read_bytes())
    content[content.index(b"split_conditions") + 40] ^= 0x55
    path.write_bytes(bytes(content))
    with pytest.raises(UnusableModel, match="not what was written"):
        read_model(tmp_path)


@pytest.mark.parametrize(("wrote", "reads"), [("0.4", "0.5"), ('"at_least": 1', '"at_least": 2'), ('"b"', '"d"')])
def test_a_model_file_with_something_else_in_it_is_refused(model, tmp_path, wrote, reads):
    write_model(model, tmp_path)
    path = tmp_path / MODEL_FILE
    text = path.read_text()
    assert wrote in text
    path.write_text(text.replace(wrote, reads, 1))
    with pytest.raises(UnusableModel, match=r"model\.json: its content is not what was written"):
        read_model(tmp_path)


def test_a_booster_of_other_features_is_refused(model, tmp_path):
    write_model(replace(model, features=FEATURES[:2]), tmp_path)
    with pytest.raises(UnusableModel, match="holds 3 features, not 2"):
        read_model(tmp_path)


def test_another_format_is_refused(model, tmp_path):
    write_model(model, tmp_path)
    told = json.loads((tmp_path / MODEL_FILE).read_text())
    (tmp_path / MODEL_FILE).write_text(json.dumps(told | {"format": 99}))
    with pytest.raises(UnusableModel, match="format"):
        read_model(tmp_path)


def test_each_status_and_its_reason(model, rows):
    matrix = rows[:4].copy()
    matrix[3, 0] = 0
    found = answer(
        _rows(model, matrix, [NOW, None, NOW - TTL - timedelta(seconds=1), NOW]), {"repurchase": model}, at=NOW, ttl=TTL
    )
    assert found.statuses == ("ok", "unknown_customer", "stale_features", "insufficient_data")
    assert found.details[0] is None
    assert found.details[3] == "orders in the last 365 days: needed at least 1, found 0"
    assert np.isnan(found.figures["repurchase"].score).tolist() == [False, True, True, True]


def test_what_is_not_known_yet_is_unknown(model, rows):
    found = answer(_rows(model, rows[:1], [NOW + timedelta(microseconds=1)]), {"repurchase": model}, at=NOW, ttl=TTL)
    assert found.statuses == ("unknown_customer",)
    edge = answer(_rows(model, rows[:1], [NOW - TTL]), {"repurchase": model}, at=NOW, ttl=TTL)
    assert edge.statuses == ("ok",)


def test_features_are_found_by_their_names(model, rows):
    known = _rows(model, rows, [NOW] * len(rows))
    turned = replace(known, features=known.features[::-1], matrix=known.matrix[:, ::-1])
    ours, theirs = (answer(asked, {"repurchase": model}, at=NOW, ttl=TTL) for asked in (known, turned))
    assert ours.figures["repurchase"].score.tobytes() == theirs.figures["repurchase"].score.tobytes()
    assert ours.statuses == theirs.statuses


def test_a_model_of_features_that_are_not_there_is_refused(model, rows):
    known = _rows(model, rows[:1], [NOW])
    fewer = replace(known, features=known.features[:-1], matrix=known.matrix[:, :-1])
    with pytest.raises(MissingFeatures, match=f"'{known.features[-1]}'.*it is not served"):
        answer(fewer, {"repurchase": model}, at=NOW, ttl=TTL)
