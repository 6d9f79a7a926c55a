"""Estimators of scikit-learn on its own data sets, through skl2onnx and `oxplow run`, against the estimator itself."""
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets, ensemble, linear_model, neural_network, pipeline, preprocessing, svm, tree
from skl2onnx import to_onnx

from oxplow_command import Oxplow, npy_files

TOLERANCE = 1e-4
CLASSIFIERS = {
    "logistic-regression": lambda: pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()),
    "random-forest": lambda: ensemble.RandomForestClassifier(30, random_state=0),
    "decision-tree": lambda: tree.DecisionTreeClassifier(random_state=0),
    "gradient-boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0),
    "extra-trees": lambda: pipeline.make_pipeline(preprocessing.MinMaxScaler(), ensemble.ExtraTreesClassifier(20, random_state=0)),
    "perceptron": lambda: pipeline.make_pipeline(preprocessing.StandardScaler(),
                                                 neural_network.MLPClassifier((20,), max_iter=60, random_state=0)),
    "normalized-sgd": lambda: pipeline.make_pipeline(preprocessing.Normalizer(),
                                                     linear_model.SGDClassifier(loss="log_loss", random_state=0)),
    "support-vectors": lambda: pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVC(probability=True, random_state=0)),
}
REGRESSORS = {
    "ridge": linear_model.Ridge,
    "random-forest": lambda: ensemble.RandomForestRegressor(20, random_state=0),
    "support-vectors": lambda: pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVR(C=100)),
}


def outputs_of(oxplow: Oxplow, model: object, rows: np.ndarray, folder: Path) -> list[np.ndarray]:
    converted = to_onnx(model, rows[:1], options={"zipmap": False} if hasattr(model, "predict_proba") else None)
    (folder / "model.onnx").write_bytes(converted.SerializeToString())
    np.save(folder / "x.npy", rows)
    oxplow.run(folder / "model.onnx", {converted.graph.input[0].name: folder / "x.npy"}, folder / "out").check()
    found = npy_files(folder / "out")
    return [np.load(found[output.name]) for output in converted.graph.output]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("data", (datasets.load_iris, datasets.load_breast_cancer, datasets.load_wine), ids=lambda load: load.__name__[5:])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier(oxplow: Oxplow, tmp_path: Path, name: str, data: Callable) -> None:
    rows, classes = data(return_X_y=True)
    rows = rows.astype(np.float32)
    model = CLASSIFIERS[name]().fit(rows, classes)
    labels, probabilities = outputs_of(oxplow, model, rows, tmp_path)
    expected = model.predict_proba(rows)
    assert np.abs(probabilities - expected).max() <= TOLERANCE
    between = np.sort(expected, 1)
    clear = between[:, -1] - between[:, -2] > 2 * TOLERANCE
    if name != "support-vectors":  # whose votes and probabilities may differ
        assert (labels == model.predict(rows))[clear].all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressor(oxplow: Oxplow, tmp_path: Path, name: str) -> None:
    rows, target = datasets.load_diabetes(return_X_y=True)
    rows = rows.astype(np.float32)
    model = REGRESSORS[name]().fit(rows, target)
    (result,) = outputs_of(oxplow, model, rows, tmp_path)
    expected = model.predict(rows)
    assert np.abs(result.ravel() - expected).max() <= TOLERANCE * np.abs(expected).max()
