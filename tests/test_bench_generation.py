"""The generation benchmark runs on small data, keeps what it made, and its parts say what they should."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the benchmark folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("series", "generation", "generators", "bench_generation")
    ]:
        del sys.modules[name]


@pytest.fixture
def walks(tmp_path: Path) -> Path:
    """A file of random walks in two classes that differ in level."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    X = rng.standard_normal((80, 2, 6)).cumsum(axis=2) + 4.0 * y[:, None, None]
    even = np.arange(80) % 2 == 0
    path = tmp_path / "walks.npz"
    np.savez(path, X_train=X[even], X_test=X[~even], y_train=y[even], y_test=y[~even])
    return path


def test_one_command_gives_tables_and_a_page(
    bench: Any, walks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = bench("bench_generation").main
    words = ["bench_generation.py", str(walks), "--sets", "walks", "--seeds", "1", "--cache", str(tmp_path / "kept")]
    words += ["--methods", "second-real", "copies", "dualwalk", "dualwalk-y", "--page", str(tmp_path / "page.html")]
    monkeypatch.setattr(sys, "argv", words)
    main()
    text = capsys.readouterr().out
    assert "| walks | 40 x 2 x 6 |" in text
    assert "second real sample" in text
    assert "synthetic / real" in text
    page = (tmp_path / "page.html").read_text()
    assert "data:image/png;base64," in page
    assert 'src="http' not in page
    kept = sorted(path.name for path in (tmp_path / "kept" / "walks").glob("*.npz"))
    assert kept == ["copies-0.npz", "dualwalk-0.npz", "dualwalk-y-0.npz"]

    monkeypatch.setattr(bench("generation.runs"), "make_samples", lambda *_: pytest.fail("what is kept was run again"))
    main()
    assert capsys.readouterr().out.replace(str(tmp_path), "") == text.replace(str(tmp_path), "")


def test_copies_cost_more_than_a_second_real_sample(bench: Any, walks: Path, tmp_path: Path) -> None:
    runs, series = bench("generation.runs"), bench("series")
    data = series.load(str(walks))
    floor = runs.run(data, runs.SECOND_REAL, 0, tmp_path).scores
    copied = runs.run(data, "copies", 0, tmp_path).scores
    assert copied["copies"] == 1.0
    assert copied["cost"] > floor["cost"] + 0.3


def test_attacks_stand_beside_the_methods(
    bench: Any, walks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench_generation.py", str(walks), "--sets", "walks", "--seeds", "1", "--cache", str(tmp_path), "--privacy"]
    monkeypatch.setattr(sys, "argv", [*words, "--methods", "second-real", "copies", "dualwalk"])
    bench("bench_generation").main()
    text = capsys.readouterr().out
    assert "| train copies | 1.00 / " in text
    assert "| second real sample | 0." in text
    assert "40 x 2 x 6 members, 20 non-members, 20 for reference" in text

    privacy, series = bench("generation.privacy"), bench("series")
    data = series.load(str(walks))
    dealt = privacy.resplit(data)
    both = [np.concatenate([part.X_train, part.X_test]) for part in (data, dealt)]
    np.testing.assert_array_equal(np.unique(both[0], axis=0), np.unique(both[1], axis=0))
    assert (dealt.X_train[:, 0, 0] > 2).mean() == pytest.approx(dealt.y_train.mean(), abs=0.15)  # rows keep their labels
    found = privacy.attacked(data, data.X_train)
    assert found["attack"] == found["attack_nearest_neighbor"] == 1.0


def test_what_cannot_run_says_why(bench: Any, walks: Path, tmp_path: Path) -> None:
    runs, series = bench("generation.runs"), bench("series")
    data = series.load(str(walks))
    flat = series.Series("flat", data.X_train[:, 0], data.X_test[:, 0], None, None, "")
    assert runs.run(flat, "smote-y", 0, tmp_path).reason == "no labels"
    assert runs.run(flat, "timevae", 0, tmp_path).reason == "wants series"
    assert "X_train" in _failure(series, tmp_path)


def _failure(series: Any, folder: Path) -> str:
    np.savez(folder / "other.npz", x=np.zeros(3))
    with pytest.raises(series.NotFound) as caught:
        series.load(str(folder / "other.npz"))
    return str(caught.value)


def test_snapped_values_are_observed_ones_and_the_nearest(bench: Any) -> None:
    snapped = bench("generation.runs").snapped
    train = np.column_stack([np.resize([0.0, 1.0, 5.0], 40), np.linspace(0, 1, 40)])
    made = np.array([[0.4, 0.123], [0.6, 0.5], [2.9, 0.5], [3.1, 0.5], [-9.0, 0.5], [9.0, 2.0]])
    np.testing.assert_array_equal(snapped(made, train)[:, 0], [0.0, 1.0, 1.0, 5.0, 0.0, 5.0])
    np.testing.assert_array_equal(snapped(made, train)[:, 1], made[:, 1])
    constant = np.column_stack([np.full(40, 2.0)])
    np.testing.assert_array_equal(snapped(np.array([[1.0], [3.0]]), constant), [[2.0], [2.0]])


def test_smote_stays_between_a_row_and_its_neighbours_and_pca_keeps_the_covariance(bench: Any) -> None:
    classical = bench("generators.classical")
    rng = np.random.default_rng(0)
    mixing = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.5, 0.5, 0.7]])
    X = rng.standard_normal((400, 3)) @ mixing.T
    made = classical.SMOTE(0).fit(X).sample(200)
    nearest = np.linalg.norm(made[:, None] - X, axis=2).min(axis=1)
    assert nearest.max() < 1.0
    for kind in (classical.PCAGaussian, classical.GaussianCopula, classical.KDE):
        covariance = np.cov(kind(0).fit(X).sample(20_000).T)
        assert np.abs(covariance - np.cov(X.T)).max() < 0.15, kind.__name__


def test_archive_files_are_read_as_they_are_written(bench: Any, tmp_path: Path) -> None:
    series = bench("series")
    path = tmp_path / "toy.ts"
    path.write_text("# a comment\n@problemName toy\n@data\n1,2,3:4,5,6:left\n7,8,9:1,1,2:right\n")
    X, labels = series.read_ts(path)
    np.testing.assert_array_equal(X, [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [1, 1, 2]]])
    assert labels.tolist() == ["left", "right"]
    with pytest.raises(series.NotFound, match="pip install no_such_package"):
        series.in_package(("no_such_package",), "x.ts")


def test_networks_learn_a_correlated_gaussian(bench: Any) -> None:
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        X = np.random.default_rng(0).standard_normal((200, 4)) @ np.array(
            [[1, 0.9, 0, 0], [0, 0.4, 0, 0], [0, 0, 1, -0.9], [0, 0, 0, 0.4]]
        )
        made = bench("generators.ddpm").DDPM(seconds=60, n_steps=400, width=64).fit(X).sample(500)
    finally:
        torch.set_num_threads(threads)
    assert np.abs(np.corrcoef(made.T) - np.corrcoef(X.T)).max() < 0.3


def test_the_literature_judges_tell_noise_and_know_their_own(bench: Any) -> None:
    torch = pytest.importorskip("torch")
    literature = bench("generation.literature")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rng = np.random.default_rng(0)
        X = np.concatenate([bench("series").sine_windows(400, rng) for _ in range(4)], axis=1)
        noise = rng.random(X.shape)
        assert literature.discriminative(X, noise, 0, n_steps=300) > 0.4
        assert literature.discriminative(X, X, 0, n_steps=150) < 0.15
        assert literature.predictive(X, X, 0, n_steps=120) < literature.predictive(X, noise, 0, n_steps=120)
    finally:
        torch.set_num_threads(threads)
    assert literature.copies(X[:300], X, X[:300] + 1.0) == 1.0
