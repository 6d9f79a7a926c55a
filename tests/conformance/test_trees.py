"""Ensembles that XGBoost and LightGBM train, through onnxmltools and `oxplow run`, against the library's own predictions."""
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import pytest
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from oxplow_command import Oxplow, npy_files

TOLERANCE = 2e-5  # sums of some hundred floats, in another order than the library's
ROWS, FEATURES, TREES = 3000, 12, 60
GROUPS = np.full(ROWS // 100, 100)  # of rows to rank


@dataclass
class Trained:
    """A model, its rows, and what its library says of them: labels (or None) and scores."""

    onnx: onnx.ModelProto
    rows: np.ndarray
    labels: np.ndarray | None
    scores: np.ndarray


def made_rows(missing: bool = False, categories: bool = False) -> np.ndarray:
    random = np.random.RandomState(3)
    x = random.randn(ROWS, FEATURES).astype(np.float32)
    if categories:
        x[:, :2] = random.randint(0, 12, (ROWS, 2))
    if missing:
        x[random.rand(ROWS, FEATURES) < 0.1] = np.nan
    return x


def target_of(x: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(x)
    return (known[:, 2:6] ** 2).sum(1) + known[:, 6] * known[:, 7] + np.isin(known[:, 0], (1, 4, 5, 9)) * 3


def classes_of(x: np.ndarray, count: int) -> np.ndarray:
    target = target_of(x)
    return np.digitize(target, np.quantile(target, np.arange(1, count) / count))


def of_xgboost(model: object, x: np.ndarray, y: np.ndarray) -> Trained:
    model.fit(x, y)
    converted = convert_xgboost(model, initial_types=[("x", FloatTensorType([None, FEATURES]))])
    if hasattr(model, "predict_proba"):
        return Trained(converted, x, model.predict(x), model.predict_proba(x))
    return Trained(converted, x, None, model.predict(x)[:, None])


def ranking_of_xgboost(x: np.ndarray, y: np.ndarray) -> Trained:
    """onnxmltools converts rankers as what they are, sums of trees."""
    ranker = xgb(xgboost.XGBRanker).fit(x, y, group=GROUPS)
    model = xgboost.XGBRegressor()
    model.load_model(ranker.get_booster().save_raw("json"))
    converted = convert_xgboost(model, initial_types=[("x", FloatTensorType([None, FEATURES]))])
    return Trained(converted, x, None, ranker.predict(x)[:, None])


def of_lightgbm(model: object, x: np.ndarray, y: np.ndarray, **fit: object) -> Trained:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y, **fit)
        options = {"zipmap": False} if hasattr(model, "predict_proba") else {}
        converted = convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, FEATURES]))], **options)
        if hasattr(model, "predict_proba"):
            return Trained(converted, x, model.predict(x), model.predict_proba(x))
        return Trained(converted, x, None, model.predict(x)[:, None])


def xgb(kind: type, **options: object) -> object:
    return kind(n_estimators=TREES, n_jobs=1, **options)


def lgb(kind: type, **options: object) -> object:
    return kind(n_estimators=TREES, n_jobs=1, verbose=-1, **options)


CASES: dict[str, Callable[[], Trained]] = {
    "xgboost-binary": lambda: of_xgboost(xgb(xgboost.XGBClassifier, max_depth=6), made_rows(), classes_of(made_rows(), 2)),
    "xgboost-multiclass": lambda: of_xgboost(xgb(xgboost.XGBClassifier, max_depth=4), made_rows(), classes_of(made_rows(), 5)),
    "xgboost-regression": lambda: of_xgboost(xgb(xgboost.XGBRegressor, max_depth=8), made_rows(), target_of(made_rows())),
    "xgboost-deep": lambda: of_xgboost(xgb(xgboost.XGBRegressor, max_depth=14), made_rows(), target_of(made_rows())),
    "xgboost-missing": lambda: of_xgboost(xgb(xgboost.XGBClassifier), made_rows(True), classes_of(made_rows(True), 2)),
    "xgboost-ranking": lambda: ranking_of_xgboost(made_rows(), classes_of(made_rows(), 4)),
    "lightgbm-binary": lambda: of_lightgbm(lgb(lightgbm.LGBMClassifier), made_rows(), classes_of(made_rows(), 2)),
    "lightgbm-multiclass": lambda: of_lightgbm(lgb(lightgbm.LGBMClassifier, max_depth=5), made_rows(), classes_of(made_rows(), 4)),
    "lightgbm-regression": lambda: of_lightgbm(lgb(lightgbm.LGBMRegressor), made_rows(), target_of(made_rows())),
    "lightgbm-missing": lambda: of_lightgbm(lgb(lightgbm.LGBMRegressor), made_rows(True), target_of(made_rows(True))),
    "lightgbm-categories": lambda: of_lightgbm(lgb(lightgbm.LGBMRegressor, max_cat_to_onehot=1), made_rows(categories=True),
                                               target_of(made_rows(categories=True)), categorical_feature=[0, 1]),
    "lightgbm-ranking": lambda: of_lightgbm(lgb(lightgbm.LGBMRanker), made_rows(), classes_of(made_rows(), 4), group=GROUPS),
}


@pytest.fixture(scope="session")
def trained(request: pytest.FixtureRequest) -> Trained:
    return CASES[request.param]()


def outputs_of(oxplow: Oxplow, model: onnx.ModelProto, rows: np.ndarray, folder: Path, *options: object, isa: str = "") -> list[np.ndarray]:
    """In the model's order."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    np.save(folder / "x.npy", rows)
    oxplow.run(folder / "model.onnx", {model.graph.input[0].name: folder / "x.npy"}, folder / "out", *options, isa=isa).check()
    found = npy_files(folder / "out")
    return [np.load(found[output.name]) for output in model.graph.output]


@pytest.mark.parametrize("trained", CASES, indirect=True)
def test_matches_the_library(oxplow: Oxplow, tmp_path: Path, trained: Trained) -> None:
    *labels, scores = outputs_of(oxplow, trained.onnx, trained.rows, tmp_path)
    assert scores.shape == trained.scores.shape
    # LightGBM compares doubles, ONNX floats: a row may lie between a threshold and its rounding.
    off = np.abs(scores - trained.scores).max(1) > TOLERANCE * np.abs(trained.scores).max()
    assert off.mean() <= (1e-3 if "LightGBM" in trained.onnx.producer_name else 0), f"{off.sum()} rows differ"
    if labels:
        unsure = np.sort(trained.scores, 1)[:, -2:]
        clear = unsure[:, 1] - unsure[:, 0] > 1e-4
        assert (labels[0] == trained.labels)[clear & ~off].all()


@pytest.mark.parametrize("trained", ("xgboost-missing", "lightgbm-binary"), indirect=True)
def test_rows_threads_and_tiers_change_no_bit(oxplow: Oxplow, tmp_path: Path, tiers: list[str], trained: Trained) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(trained.onnx)
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "post_transform":
            attribute.s = b"NONE"  # exponentials differ from tier to tier
    *_, all_rows = outputs_of(oxplow, model, trained.rows, tmp_path / "all")
    for count in (1, 23, 24, 513):
        *_, some = outputs_of(oxplow, model, trained.rows[:count], tmp_path / str(count), "--threads", 3)
        assert (some == all_rows[:count]).all()
    for tier in tiers:
        *_, same = outputs_of(oxplow, model, trained.rows, tmp_path / tier, isa=tier)
        assert (same == all_rows).all(), tier


def summed_in_order(node: onnx.NodeProto, rows: np.ndarray) -> np.ndarray:
    """A plain walk of each tree of a one-target model of BRANCH_LT or BRANCH_LEQ, added in order in fp32."""
    a = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    kind = "class" if "class_ids" in a else "target"
    place = {key: i for i, key in enumerate(zip(a["nodes_treeids"], a["nodes_nodeids"]))}
    weight = dict(zip(zip(a[f"{kind}_treeids"], a[f"{kind}_nodeids"]), np.float32(a[f"{kind}_weights"])))
    thresholds = np.float32(a["nodes_values"])
    sums = np.zeros(len(rows), np.float32)
    for tree in dict.fromkeys(a["nodes_treeids"]):
        open_nodes = [((tree, 0), np.arange(len(rows)))]
        while open_nodes:
            key, members = open_nodes.pop()
            i = place[key]
            if a["nodes_modes"][i] == b"LEAF":
                sums[members] += weight[key]
                continue
            x = rows[members, a["nodes_featureids"][i]]
            passes = x < thresholds[i] if a["nodes_modes"][i] == b"BRANCH_LT" else x <= thresholds[i]
            passes |= np.isnan(x) & bool(a["nodes_missing_value_tracks_true"][i])
            open_nodes += [((tree, a["nodes_truenodeids"][i]), members[passes]), ((tree, a["nodes_falsenodeids"][i]), members[~passes])]
    return sums + np.float32(a["base_values"][0] if "base_values" in a else 0)


@pytest.mark.parametrize("trained", ("xgboost-missing", "xgboost-deep", "lightgbm-missing"), indirect=True)
def test_equals_the_trees_added_in_order(oxplow: Oxplow, tmp_path: Path, trained: Trained) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(trained.onnx)
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "post_transform":
            attribute.s = b"NONE"
    *_, scores = outputs_of(oxplow, model, trained.rows, tmp_path)
    assert (scores[:, -1] == summed_in_order(model.graph.node[0], trained.rows)).all()
