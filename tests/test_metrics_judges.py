"""Judges: right on what is known, at chance on equal distributions, and honest about what they cannot see."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from dualwalk import metrics
from dualwalk.metrics.judging import coin_p_value, fold_of_rows, shuffled_columns


def smooth(n: int, rng: np.random.Generator, shape: tuple[int, ...] = (12,)) -> np.ndarray:
    """Random walks: neighbours in time go together."""
    return rng.standard_normal((n, *shape)).cumsum(axis=-1)


@pytest.mark.parametrize(("correct", "n", "heads"), [(0, 9, 0.5), (5, 9, 0.5), (9, 9, 0.5), (330, 600, 0.5), (70, 100, 0.62)])
def test_coin(correct, n, heads):
    assert coin_p_value(correct, n, heads) == pytest.approx(stats.binom.sf(correct - 1, n, heads), rel=1e-9)


def test_control_keeps_every_column_in_its_fold(rng):
    rows = rng.standard_normal((30, 4))
    fold = fold_of_rows(30, 5, 0)
    np.testing.assert_array_equal(np.bincount(fold[:30]), 6)
    np.testing.assert_array_equal(np.bincount(fold[30:]), 6)
    control = shuffled_columns(rows, 0, fold[:30])
    for k in range(5):
        part = fold[:30] == k
        np.testing.assert_array_equal(np.sort(control[part], axis=0), np.sort(rows[part], axis=0))
    assert (control != rows).any(axis=1).mean() > 0.8


# -- classifiers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classifier", ["forest", "logistic"])
def test_judge_of_equal_scaled_and_shifted_rows(classifier, rng):
    real, made = smooth(150, rng), smooth(150, rng)
    same = metrics.classifier_two_sample(real, made, classifier=classifier)
    assert same.trusted
    assert same.control_accuracy > 0.8
    assert abs(same.accuracy - 0.5) < 4 * same.se
    assert same.n_rows == 300
    assert same.se == pytest.approx(np.sqrt(same.accuracy * (1 - same.accuracy) / 300))
    assert metrics.classifier_two_sample(real, made + 30, classifier=classifier, self_check=False).accuracy > 0.99
    louder = metrics.classifier_two_sample(real, 2 * made, classifier=classifier, self_check=False)
    assert louder.accuracy > 0.6
    assert louder.p_value < 1e-3
    assert not louder.trusted, "not checked, not trusted"
    assert np.isnan(louder.control_accuracy)


def test_forest_is_scikit_learns(rng):
    real, made = smooth(40, rng), 1.5 * smooth(40, rng)
    x, y = np.concatenate([real, made]), np.repeat([0, 1], 40)
    forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=0)
    predicted = cross_val_predict(forest, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=0))
    expected = float((predicted == y).mean())
    assert metrics.classifier_two_sample(real, made, self_check=False).accuracy == expected
    assert metrics.classifier_two_sample(real, made, classifier=forest, self_check=False).accuracy == expected


def test_sides_are_made_equal(rng):
    real, made = smooth(400, rng), smooth(60, rng)
    found = metrics.classifier_two_sample(real, made, classifier="logistic", self_check=False)
    assert found.n_rows == 120
    assert found.accuracy < 0.65, "a guess of the larger side would be right in .87"
    assert metrics.classifier_two_sample(real, made, n_max=30, self_check=False).n_rows == 60


def test_a_judge_that_cannot_tell_noise_says_so(rng):
    independent = rng.standard_normal((2, 60, 5))
    with pytest.warns(metrics.JudgeWarning, match="columns that really are independent") as caught:
        found = metrics.classifier_two_sample(*independent)
    assert caught[0].filename == __file__
    assert not found.trusted
    real, made = smooth(60, rng), smooth(60, rng)
    with pytest.warns(metrics.JudgeWarning, match=r"DummyClassifier 0\.50 \(on generated rows 0\.50\)"):
        metrics.classifier_two_sample(real, made, classifier=DummyClassifier())
    with pytest.warns(metrics.JudgeWarning, match="LogisticRegression"):  # linear: blind to dependence
        metrics.classifier_two_sample(real, made, classifier=LogisticRegression())
    with pytest.warns(metrics.JudgeWarning, match="of 6 told"):
        metrics.classifier_two_sample(real[:3], made[:3])


def test_learning_by_heart_does_not_look_like_failing(rng):
    """Shuffling across folds would show the forest held-out values with the wrong label: it would do worse than a coin."""
    factor = rng.standard_normal((40, 1))
    rows = factor + 0.3 * rng.standard_normal((40, 200))
    assert metrics.classifier_two_sample(rows[:20], rows[20:], classifier="forest").control_accuracy > 0.6


def test_one_column(rng):
    x = rng.choice([-1.0, 1.0], (200, 1)) + 0.1 * rng.standard_normal((200, 1))
    found = metrics.classifier_two_sample(x[:100], x[100:])
    assert found.trusted, "normal noise of the same deviation lies between the two heaps"


# -- nearest neighbours --------------------------------------------------------------------------------------------------


def test_nearest_neighbor_judge(rng):
    real, made = rng.standard_normal((2, 300, 2))
    made[:, 1] = made[:, 0]
    correlated = metrics.nearest_neighbor_two_sample(made[:150], made[150:])
    assert correlated.trusted
    assert abs(correlated.accuracy - 0.5) < 4 * correlated.se
    assert metrics.nearest_neighbor_two_sample(made[:150], made[:150]).accuracy == 0.0, "every copy is nearest to its original"
    assert metrics.nearest_neighbor_two_sample(made, real + 30).accuracy == 1.0


def test_memorization_of_copies_noise_and_new_rows(rng):
    train, held, new = (smooth(100, rng) for _ in range(3))
    scale = train.std(axis=0)
    fresh = metrics.memorization_two_sample(held, new, train)
    assert fresh.trusted
    assert abs(fresh.accuracy - 0.5) < 4 * fresh.se
    near = train + 0.05 * scale * rng.standard_normal(train.shape)
    assert metrics.memorization_two_sample(held, near, train).accuracy > 0.95
    noise = train.mean(axis=0) + scale * rng.standard_normal(train.shape)
    assert metrics.memorization_two_sample(held, noise, train).accuracy > 0.85
    assert metrics.memorization_two_sample(held, new, train[:3]).n_rows == 200, "fewer than five training rows"


# -- downstream ----------------------------------------------------------------------------------------------------------


def labelled(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % 2
    return rng.standard_normal((n, 2, 3)) + 3.0 * y[:, None, None], np.array(["low", "high"])[y]


def test_downstream_accuracy(rng):
    (X, y), (X_test, y_test), (X_made, y_made) = (labelled(60, rng) for _ in range(3))
    same = metrics.train_synthetic_test_real(X, y, X_test, y_test, X_train=X, y_train=y)
    assert same.gap == same.se == 0.0
    assert same.synthetic == same.real > 0.95
    assert same.trusted
    assert same.chance == 0.5
    wrong = np.where(y_made == "low", "high", "low")
    swapped = metrics.train_synthetic_test_real(X_made, wrong, X_test, y_test, X_train=X, y_train=y)
    assert float(swapped) < 0.05
    assert swapped.gap == pytest.approx(swapped.real - swapped.synthetic)
    alone = metrics.train_synthetic_test_real(X_made, y_made, X_test, y_test, classifier=LogisticRegression())
    assert alone.synthetic > 0.95
    assert np.isnan(alone.real)
    noise = rng.standard_normal(X.shape)
    with pytest.warns(metrics.JudgeWarning, match="most frequent class") as caught:
        found = metrics.train_synthetic_test_real(X, y, noise, y_test, X_train=X, y_train=y)
    assert not found.trusted
    assert caught[0].filename == __file__


def test_error_of_the_gap_by_hand(rng):
    X = rng.standard_normal((10, 2))
    mostly_a, mostly_b = np.repeat(["a", "b"], [7, 3]), np.repeat(["a", "b"], [4, 6])
    majority = DummyClassifier(strategy="most_frequent")
    with pytest.warns(metrics.JudgeWarning, match=r"gets 0\.40 of the test rows right .* class gets 0\.60"):
        found = metrics.train_synthetic_test_real(X, mostly_b, X, mostly_b, X_train=X, y_train=mostly_a, classifier=majority)
    assert (found.synthetic, found.real, found.chance) == (0.6, 0.4, 0.6)
    assert found.gap == pytest.approx(-0.2), "-1 in six rows, +1 in four"
    assert found.se == pytest.approx(np.sqrt((1 - 0.2**2) / 10))


def test_downstream_labels_are_checked(rng):
    X, y = labelled(20, rng)
    with pytest.raises(ValueError, match=r"y_synthetic must hold one label a sample, shape \(20,\)"):
        metrics.train_synthetic_test_real(X, y[:9], X, y)
    with pytest.raises(ValueError, match="y_test must hold one label a sample; got None"):
        metrics.train_synthetic_test_real(X, y, X, None)
    with pytest.raises(ValueError, match="at least two classes; got only"):
        metrics.train_synthetic_test_real(X, np.zeros(20), X, np.zeros(20))
    with pytest.raises(TypeError, match="all labels must be numbers, or all strings"):
        metrics.train_synthetic_test_real(X, np.arange(20) % 2, X, y)
    with pytest.raises(ValueError, match="X_train and y_train go together"):
        metrics.train_synthetic_test_real(X, y, X, y, X_train=X)
    with pytest.raises(ValueError, match="classifier must be one of 'forest'"):
        metrics.train_synthetic_test_real(X, y, X, y, classifier="tree")


# -- everything at once --------------------------------------------------------------------------------------------------


def test_evaluate_is_its_parts(rng):
    train, held, made = (smooth(80, rng, (3, 6)) for _ in range(3))
    found = metrics.evaluate(made, train, held)
    assert found.trusted
    a, b, c = (rows.reshape(80, 18) / train.reshape(80, 18).std(axis=0) for rows in (held, made, train))
    forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=0)
    y, cv = np.repeat([0, 1], 80), StratifiedKFold(5, shuffle=True, random_state=0)

    def accuracy(x: np.ndarray) -> float:
        return float((cross_val_predict(forest, x, y, cv=cv) == y).mean())

    near = [np.sort(cdist(x, c), axis=1) for x in (a, b)]
    forest_accuracy = accuracy(np.concatenate([a, b]))
    memory = accuracy(np.log(np.concatenate(near)[:, [0, 1, 4]] + 1e-3))
    coverage = (cdist(a, b).min(axis=1) < np.sort(cdist(a, a), axis=1)[:, 5]).mean()
    ratio = np.median(near[1][:, 0]) / np.median(near[0][:, 0])
    assert found.memorization.accuracy == memory
    assert found.forest.accuracy == pytest.approx(forest_accuracy, abs=0.02), "rounding may move a threshold of the forest"
    assert found.coverage == coverage
    assert found.authenticity.ratio == pytest.approx(ratio)
    cost = abs(found.forest.accuracy - 0.5) + abs(memory - 0.5) + (1 - coverage) / 2 + abs(ratio - 1) / 2
    assert found.cost == pytest.approx(cost)
    assert found.similarity.manifold == metrics.manifold_scores(held, made, train=train)
    assert found.similarity.mmd == metrics.mmd(held, made, train=train)
    assert found.similarity.energy == metrics.energy_distance(held, made, train=train)
    assert found.similarity.correlation == metrics.correlation_error(held, made)
    assert found.similarity.kurtosis == metrics.difference_kurtosis(made)
    assert found.authenticity == metrics.authenticity(made, train, held)
    assert (
        found.nearest_neighbor.accuracy
        == metrics.nearest_neighbor_two_sample(held, made, train=train, self_check=False).accuracy
    )


def test_evaluate_orders_generators(rng):
    train, held, new = (smooth(120, rng) for _ in range(3))
    noise = train.mean(axis=0) + train.std(axis=0) * rng.standard_normal(train.shape)
    costs = {
        name: metrics.evaluate(x, train, held, self_check=False).cost
        for name, x in [("new", new), ("copies", train), ("noise", noise)]
    }
    assert costs["new"] < 0.3
    assert costs["copies"] > 1
    assert costs["noise"] > 1


def test_evaluate_with_labels_and_as_text(rng):
    (X, y), (held, y_held), (made, y_made) = (labelled(60, rng) for _ in range(3))
    found = metrics.evaluate(made, X, held, y=y_made, y_train=y, y_held_out=y_held)
    assert found.downstream is not None
    assert found.downstream.synthetic > 0.95
    numbers, text = found.as_dict(), str(found)
    assert set(found.real()) == set(numbers) - {"cost"}
    for name, value in numbers.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        assert line.split()[1] == f"{value:.4f}"
    assert numbers == metrics.evaluate(made, X, held, y=y_made, y_train=y, y_held_out=y_held).as_dict()
    with pytest.raises(ValueError, match="go together; got no y_held_out and no y_train"):
        metrics.evaluate(made, X, held, y=y_made)


def test_evaluate_warns_of_blind_judges_and_says_so_in_its_table(rng):
    independent = rng.standard_normal((3, 30, 4))
    with pytest.warns(metrics.JudgeWarning, match=r"forest 0\.\d\d .*, forest on distances to training rows") as caught:
        found = metrics.evaluate(*independent)
    assert caught[0].filename == __file__
    assert not found.trusted
    assert str(found).count("Not to be trusted") == 3


def test_evaluate_attacks_with_all_generated_rows_and_counts_subjects(rng):
    x = rng.standard_normal((150, 4)).cumsum(axis=1)
    subjects = {"groups_train": np.arange(50) // 5, "groups_held_out": 10 + np.arange(30) // 3}
    found = metrics.evaluate(x[80:], x[:50], x[50:80], self_check=False, **subjects)
    direct = metrics.membership_inference(x[80:], x[:50], x[50:80], **subjects)
    assert found.membership == direct
    assert found.membership.n_generated == 70
    assert found.as_dict()["attack_nearest_neighbor"] == direct.attacks["nearest_neighbor"].auc
    assert found.real()["attack_global_dual"] == 0.5
    assert direct.verdict in " ".join(str(found).split())


def test_evaluate_checks_and_thins(rng):
    x = smooth(40, rng)
    with pytest.raises(ValueError, match="train must be finite"):
        metrics.evaluate(x, np.where(x == x[3, 3], np.inf, x), x)
    with pytest.raises(ValueError, match="held_out must have at least 6 samples; got 5"):
        metrics.evaluate(x, x, x[:5])
    with pytest.raises(ValueError, match="same shape as generated"):
        metrics.evaluate(x, x[:, :3], x)
    assert metrics.evaluate(smooth(90, rng), x, smooth(50, rng), n_max=30, self_check=False).forest.n_rows == 60


def test_without_scikit_learn(monkeypatch, rng):
    for name in ("sklearn", "sklearn.ensemble", "sklearn.model_selection"):
        monkeypatch.setitem(sys.modules, name, None)
    x = smooth(40, rng)
    with pytest.raises(ImportError, match=r'pip install "dualwalk\[metrics\]"'):
        metrics.classifier_two_sample(x, x)
    assert metrics.nearest_neighbor_two_sample(x[:20], x[20:], self_check=False).n_rows == 40, "needs NumPy alone"


def test_classifier_argument(rng):
    x = smooth(20, rng)
    with pytest.raises(ValueError, match="classifier must be one of 'forest', 'logistic'"):
        metrics.classifier_two_sample(x, x, classifier="tree")
    with pytest.raises(TypeError, match="or an object with fit and predict"):
        metrics.classifier_two_sample(x, x, classifier=3)
    with pytest.raises(ValueError, match="cv must be at least 2"):
        metrics.classifier_two_sample(x, x, cv=1)
