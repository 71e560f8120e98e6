"""The jobs of the command line on fitted models, in pipes and for machines."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_kit import found, refused, run, series

import dualwalk as dw
from dualwalk import _progress


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """And without the lines that come with time: how many there are depends on the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_progress, "progress", lambda: _progress.Lines(quiet_for=1e9))


@pytest.fixture
def file():
    np.savez("a.npz", X=series(), y=np.repeat(["one", "two"], 28))
    return "a.npz"


@pytest.fixture
def models(capsys, file):
    """A divergence and a sampler in files, as the jobs write them."""
    assert run(capsys, "estimate", file, "--save", "d.npz", "--cv", 2)[0] == 0
    assert run(capsys, "sample", file, "-n", 8, "--walk", "local", "--out", "first.npz", "--save", "s.npz")[0] == 0


def on_stdin(monkeypatch, content):
    stream = io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", stream)


# fitted models


def test_score_with_a_model(capsys, models):
    X = np.concatenate([series(9, seed=1), 100 * np.random.default_rng(0).normal(size=(3, 2, 4))])
    np.save("new.npy", X)
    model = dw.load("d.npz")
    content = found(capsys, "score", "new.npy", "--model", "d.npz")
    assert content["f"] == model.score_samples(X).tolist()
    assert content["inside"] == (model.predict(X) > 0).tolist()
    assert all(0 < p <= 1 for p in content["p_value"])
    status, out, err = run(capsys, "score", "new.npy", "--model", "d.npz", "--out", "scores.npz")
    assert (status, err) == (0, [])
    n_outside = int((model.predict(X) < 0).sum())
    assert f"{n_outside} of 12 samples" in out
    with np.load("scores.npz", allow_pickle=False) as scores:
        np.testing.assert_allclose(scores["terms"].sum(axis=(1, 2)), scores["f"], atol=1e-12)
    assert run(capsys, "score", "new.npy", "--model", "d.npz", "--out", "scores.csv")[0] == 0
    table = np.genfromtxt("scores.csv", delimiter=",", names=True)
    assert table["f"].tolist() == content["f"], "digits that read back to the same numbers"
    one = found(capsys, "score", "new.npy", "--model", "d.npz")
    np.save("one.npy", X[:1])
    assert found(capsys, "score", "one.npy", "--model", "d.npz")["f"] == one["f"][:1]


def test_score_with_training_samples(capsys, file):
    content = found(capsys, "score", file, "--train", file, "--seed", 3)
    model = dw.DualDivergence(random_state=3).fit(series())
    assert content["f"] == model.score_samples(series()).tolist()


def test_sample_from_a_model_is_what_the_sampler_gives(capsys, models):
    content = found(capsys, "sample", "--model", "s.npz", "-n", 6, "--seed", 4, "--labels", "two", "--out", "more.npz")
    assert content["n_samples"] == 6
    sampler = dw.load("s.npz")
    with np.load("more.npz", allow_pickle=False) as more:
        assert np.array_equal(more["X"], sampler.sample(6, np.repeat("two", 6), seed=4))
        assert more["y"].tolist() == ["two"] * 6
        assert json.loads(str(more["provenance"]))["walk"] == "local"
    refused(capsys, "sample", "--model", "s.npz", "-n", 6, "--labels", "three", "--out", "b.npz", match="got 'three'")
    refused(
        capsys, "sample", "a.npz", "--model", "s.npz", "-n", 6, "--out", "b.npz", match="FILE and --model exclude each other"
    )
    refused(
        capsys, "sample", "--model", "s.npz", "-n", 6, "--walk", "auto", "--out", "b.npz", match="--walk and --model exclude"
    )
    refused(capsys, "sample", "--model", "d.npz", "-n", 6, "--out", "b.npz", match="it holds a DualDivergence, no DualSampler")
    refused(capsys, "sample", "--model", "a.npz", "-n", 6, "--out", "b.npz", match="a.npz")
    refused(capsys, "sample", "-n", 6, "--out", "b.npz", match="sample needs FILE")


def test_impute(capsys, models):
    holes = series(5, seed=2)
    holes[:, :, 3] = np.nan
    np.save("gaps.npy", holes)
    content = found(capsys, "impute", "gaps.npy", "--model", "s.npz", "--out", "full.npy", "--seed", 1)
    assert (content["n_missing"], content["n_samples"]) == (10, 5)
    full = np.load("full.npy", allow_pickle=False)
    assert np.array_equal(full, dw.load("s.npz").impute(holes, seed=1))
    assert run(capsys, "impute", "gaps.npy", "--model", "s.npz", "-n", 30, "--out", "draws.npz")[0] == 0
    known = ~np.isnan(holes)
    with np.load("draws.npz", allow_pickle=False) as draws:
        assert draws["X_draws"].shape == (30, 5, 2, 4)
        for name in ("X", "X_lower", "X_upper"):
            assert np.array_equal(draws[name][known], holes[known]), "known values come back bit for bit"
        assert (draws["X_lower"] <= draws["X_upper"]).all()
        np.testing.assert_allclose(draws["X"], draws["X_draws"].mean(axis=0), rtol=1e-5)
    refused(capsys, "impute", "gaps.npy", "--model", "s.npz", "-n", 3, "--out", "draws.csv", match="name an .npz file")
    np.save("more.npy", np.concatenate([holes, holes]))
    refused(capsys, "estimate", "more.npy", match="must be finite; got nan")


def test_impute_reads_empty_cells(capsys, monkeypatch):
    rows = series(40).reshape(40, 8)
    np.savetxt("a.csv", rows, delimiter=",", fmt="%.8g")
    on_stdin(monkeypatch, b"1.5,,0.25,1,,-1,0.5,2\n")
    status, out, err = run(capsys, "impute", "-", "--train", "a.csv", "--out", "-", "--channels", 2)
    assert (status, err[-1].split()[0]) == (0, "filled")
    header, row = out.splitlines()
    assert header.startswith("channel_1_time_1,channel_1_time_2,")
    values = [float(cell) for cell in row.split(",")]
    assert [values[k] for k in (0, 2, 3, 5, 6, 7)] == [1.5, 0.25, 1, -1, 0.5, 2]
    assert np.isfinite(values).all()


def test_evaluate(capsys):
    y = np.arange(40) % 2
    rows = [series(40, seed=seed) + 4 * y[:, None, None] for seed in range(3)]
    for name, X in zip(("new", "train", "test"), rows, strict=True):
        np.savez(f"{name}.npz", X=X, y=y)
    content = found(capsys, "evaluate", "new.npz", "--train", "train.npz", "--held-out", "test.npz")
    direct = dw.metrics.evaluate(*rows, y=y, y_train=y, y_held_out=y)
    assert content["cost"] == direct.cost
    assert content["downstream"] == direct.downstream.synthetic
    assert content["real"]["coverage"] == direct.real()["coverage"]
    assert content["attack_local_dual"] == content["membership"]["attacks"]["local_dual"]["auc"]
    assert content["membership"]["verdict"] == direct.membership.verdict
    status, out, _ = run(capsys, "evaluate", "new.npz", "--train", "train.npz", "--held-out", "test.npz")
    assert status == 0
    assert f"{direct.cost:.4f}" in out
    assert direct.membership.verdict in " ".join(out.split())


def test_report_of_models(capsys, models):
    content = found(capsys, "report", "--model", "s.npz", "--model", "d.npz", "--out", "r.html")
    assert content["out"] == "r.html"
    assert os.path.getsize("r.html") > 10_000
    refused(capsys, "report", "a.npz", "--model", "s.npz", "--out", "q.html", match="got both")
    refused(capsys, "report", "--model", "d.npz", "--out", "q.html", match="got neither")
    refused(capsys, "report", "--model", "d.npz", "--model", "d.npz", "--out", "q.html", match="one DualDivergence at most")


def test_blocks_confidence_and_reverse(capsys, file):
    content = found(capsys, "estimate", file, "--blocks", "channels", "--confidence", 0.9, "--reverse", "--cv", 2)
    model = dw.DualDivergence(blocks=[0, 1], confidence_level=0.9, reverse=True, cv=2, random_state=0).fit(series())
    assert content["divergence"] == model.divergence_
    assert content["reverse_divergence"] == model.reverse_divergence_
    assert content["end_points"] == model.end_points_.tolist()
    assert found(capsys, "estimate", file, "--blocks", "0,1", "--cv", 2)["divergence"] == pytest.approx(model.divergence_)
    refused(capsys, "estimate", file, "--blocks", "a,b", match="--blocks must be the word channels")
    refused(capsys, "estimate", file, "--confidence", "1", match="--confidence must be below 1")


# pipes


def test_samples_come_from_stdin_and_go_to_stdout(capsys, monkeypatch, file):
    assert run(capsys, "sample", file, "-n", 5, "--walk", "local", "--out", "b.csv")[0] == 0
    for content in (Path(file).read_bytes(), _as_csv(series(), np.repeat(["one", "two"], 28))):
        on_stdin(monkeypatch, content)
        status, out, err = run(capsys, "sample", "-", "-n", 5, "--walk", "local", "--out", "-", "--channels", 2)
        assert status == 0
        assert err[0].startswith("dualwalk 0."), "words go to stderr where samples take stdout"
        with open("b.csv", encoding="utf-8") as stream:
            wanted = stream.read()
        assert out.splitlines()[0] == wanted.splitlines()[0] == ",".join([*_names(), "y"])
        np.testing.assert_allclose(_numbers(out), _numbers(wanted), rtol=1e-6)
    refused(capsys, "sample", file, "-n", 5, "--out", "-", "--json", match="both want stdout")


def _names():
    return [f"channel_{c}_time_{t}" for c in (1, 2) for t in (1, 2, 3, 4)]


def _as_csv(X, y):
    lines = [",".join([*_names(), "y"])]
    lines += [",".join([*(repr(float(v)) for v in row), label]) for row, label in zip(X.reshape(len(X), -1), y, strict=True)]
    return "\n".join(lines).encode()


def _numbers(table):
    return [[float(cell) for cell in line.split(",")[:-1]] for line in table.splitlines()[1:]]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "stdin is empty, 0 bytes"),
        (b"\x80\x05K\x01.", "stdin must be a NumPy file; got a pickle"),
        (b"PK\x03\x04 not an archive", "stdin is damaged"),
        (b"1,2\n3\n", "stdin must have the same number of columns"),
        (b"\xff\xfe", "stdin must be a text table in UTF-8"),
    ],
)
def test_bad_stdin_is_one_line(capsys, monkeypatch, content, match):
    on_stdin(monkeypatch, content)
    refused(capsys, "estimate", "-", match=match)


def test_a_terminal_is_no_input(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    refused(capsys, "estimate", "-", match="stdin must be a file or a pipe")


def test_a_real_pipe(file):
    words = [sys.executable, "-m", "dualwalk", "sample", "-", "-n", "4", "--walk", "local", "--out", "-"]
    with open(file, "rb") as stream:
        done = subprocess.run(words, stdin=stream, capture_output=True, check=True)
    assert done.stdout.count(b"\n") == 5
    assert b"nearness" in done.stderr
    again = subprocess.run([*words[:4], "-", *words[5:]], input=done.stdout * 3, capture_output=True, check=False)
    assert again.returncode == 2, "three headers"


# for machines


def test_every_output_reads_back(capsys, file):
    for suffix in ("npz", "npy", "csv"):
        assert run(capsys, "sample", file, "-n", 9, "--walk", "local", "--out", f"b.{suffix}")[0] == 0
    with np.load("b.npz", allow_pickle=False) as whole:
        X = whole["X"]
    assert np.array_equal(np.load("b.npy", allow_pickle=False), X)
    from dualwalk._files import read_series

    table = read_series("b.csv", channels=2)
    assert np.array_equal(table.X.astype(np.float32), X), "digits that read back to the same numbers"
    assert table.y.tolist() == ["one"] * 4 + ["two"] * 5


def test_quiet_is_without_progress_but_not_without_warnings(capsys, monkeypatch):
    monkeypatch.setattr(_progress, "progress", lambda: _progress.Lines(every=0, quiet_for=0))
    np.save("a.npy", series(9, (2, 60)))
    loud = run(capsys, "sample", "a.npy", "-n", 3, "--walk", "local", "--out", "b.npz")[2]
    quiet = run(capsys, "sample", "a.npy", "-n", 3, "--walk", "local", "--out", "b.npz", "--quiet")[2]
    assert [line for line in loud if "warning" in line] == quiet != []


def test_bench_measures_what_it_says(capsys):
    content = found(capsys, "bench")
    assert [row["job"].split(",")[0] for row in content["rows"]] == [
        "shuffle", "log-mean-exp", "Donsker-Varadhan with gradient", "walk"
    ]  # fmt: skip
    for row in content["rows"]:
        assert row["dualwalk_ms"] > 0
        assert row["numpy_ms"] > 0
        assert 0 <= row["error"] < 1e-5
    assert content["rows"][0]["error"] == 0


def test_demo_for_machines(capsys, monkeypatch):
    from dataclasses import replace

    from dualwalk._cli import demo

    whole = demo.load_japanese_vowels()
    small = replace(whole, X=whole.X[::5, :2, :4], y=whole.y[::5] % 2)
    monkeypatch.setattr(demo, "load_japanese_vowels", lambda: small)
    content = found(capsys, "demo", "-n", 5)
    assert content["samples"] == os.path.join("dualwalk-demo", "samples.npz")
    assert content["report"] == os.path.join("dualwalk-demo", "report.html")
    assert content["divergence"]["divergence_lower"] < content["divergence"]["divergence"]
