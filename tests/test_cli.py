"""The command line: what it prints and writes, its exit status, and one clear line for everything that can be refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from cli_kit import refused, run, series

from dualwalk import _cli, _progress
from dualwalk._cli import estimate
from dualwalk._nodepath.graph import DependenceGraph
from dualwalk.cli import main
from dualwalk.estimator import DualDivergence
from dualwalk.report.words import with_error
from dualwalk.sampler import DualSampler


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """And without the lines that come with time: how many there are depends on the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_progress, "progress", lambda: _progress.Lines(quiet_for=1e9))


@pytest.fixture
def file(tmp_path):
    np.savez("a.npz", X=series(), y=np.repeat(["one", "two"], 28))
    return "a.npz"


# what it does


def test_estimate(capsys, file):
    status, out, err = run(capsys, "estimate", file)
    assert (status, err) == (0, [])
    for word in ("56 samples of 2 channels x 4 times", "divergence", "lower limit", "end points", "clusters", "nats"):
        assert word in out
    status, out, err = run(capsys, "estimate", file, "--json", "--seed", "0", "--threads", "1")
    assert (status, err) == (0, [])
    content = json.loads(out)
    assert content["feature_shape"] == [2, 4]
    assert content["divergence_lower"] < content["divergence"]
    assert sum(content["cluster_sizes"]) == content["n_samples"] == 56
    assert "DUALWALK_NUM_THREADS" not in os.environ
    assert run(capsys, "estimate", file, "--json") == (0, out, []), "the same on any number of threads"


def test_estimate_tests_for_any_dependence(capsys, file):
    status, out, err = run(capsys, "estimate", file, "--test")
    assert (status, err) == (0, [])
    assert "p = 0.005 in a permutation test" in out
    np.save("noise.npy", np.random.default_rng(0).normal(size=(60, 3)))
    content = json.loads(run(capsys, "estimate", "noise.npy", "--test", "--json")[1])
    assert content["p_value"] > 0.05
    assert content["false_alarm_rate"] == pytest.approx(2 / 61)
    assert json.loads(run(capsys, "estimate", file, "--json")[1])["p_value"] is None


def test_estimate_tells_all_that_the_model_knows(capsys, file, monkeypatch):
    model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(series())
    model.divergence_held_out_, model.divergence_training_ = model.divergence_ - 1.25, model.divergence_ + 1.25
    nats = np.r_[0, 0.5 * np.ones(7)]
    model.dependence_graph_ = DependenceGraph(np.arange(8), np.arange(8) - 1, nats)
    monkeypatch.setattr(estimate, "fit_divergence", lambda options, X, **settings: model)
    out = run(capsys, "estimate", file)[1]
    for part in (model.divergence_, model.divergence_held_out_, model.divergence_training_):
        assert with_error(part, model.divergence_se_)[0] in out
    assert "channel 1, time 2 on channel 1, time 1: 0.50 nats" in out
    content = json.loads(run(capsys, "estimate", file, "--json")[1])
    assert content["divergence_held_out"] == model.divergence_held_out_
    assert content["divergence_training"] == model.divergence_training_
    assert content["dependence_graph"] == {"order": list(range(8)), "parents": list(range(-1, 7)), "nats": nats.tolist()}


def test_an_infinite_divergence_is_named(capsys):
    X = np.random.default_rng(0).normal(size=(60, 4))
    X[:, 3] = X[:, 1]
    np.save("twice.npy", X)
    status, out, err = run(capsys, "estimate", "twice.npy")
    assert status == 0
    assert "determine each other exactly" in err[0]
    assert "divergence    infinite (total" in out
    assert "determine each other exactly: feature 2 and feature 4." in out
    content = json.loads(run(capsys, "estimate", "twice.npy", "--json")[1], parse_constant=pytest.fail)
    assert content["divergence"] is None
    assert content["determined"] == [[1, 3]]
    assert content["divergence_lower"] > 1


def test_cluster(capsys):
    bits = np.random.default_rng(0).integers(0, 2, (10, 300))
    bits[:9] = np.repeat(bits[:3], 3, axis=0) ^ (np.random.default_rng(1).random((9, 300)) < 0.1)
    np.save("bits.npy", bits)
    status, out, err = run(capsys, "cluster", "bits.npy")
    assert (status, err) == (0, [])
    for line in (
        "3 that hold together",
        "3 series, rows 1-3",
        "3 series, rows 7-9",
        "1 series that depend on no other, rows 10",
    ):
        assert line in out
    content = json.loads(run(capsys, "cluster", "bits.npy", "-k", 3, "--json")[1])
    labels = content["labels"][:9]
    assert [len(set(labels[k : k + 3])) for k in (0, 3, 6)] == [1, 1, 1]
    assert len(set(labels)) == content["n_clusters"] == 3
    refused(capsys, "cluster", "bits.npy", "-k", 11, match="n_clusters must be at most the number of series, 10; got 11")


def test_sample(capsys, file):
    status, out, err = run(capsys, "sample", file, "-n", 30, "--out", "new.npz")
    assert (status, err) == (0, [])
    assert "new.npz" in out
    assert "1 is ideal, 0 a copy" in out
    with np.load("new.npz", allow_pickle=False) as new:
        assert new["X"].shape == (30, 2, 4)
        assert new["X"].dtype == np.float32
        assert np.bincount(np.unique(new["y"], return_inverse=True)[1]).tolist() == [15, 15]
        assert new["nearest_index"].shape == new["distance_ratio"].shape == (30,)
        provenance = json.loads(str(new["provenance"]))
        assert provenance["seed"] == 0
        assert provenance["synthetic"] is True
        first = new["X"]
    for seed, same in ((0, True), (1, False)):
        assert run(capsys, "sample", file, "-n", 30, "--out", "again.npz", "--seed", seed)[0] == 0
        with np.load("again.npz") as again:
            assert np.array_equal(again["X"], first) == same
    assert sorted(os.listdir()) == ["a.npz", "again.npz", "new.npz"]


def test_labels(capsys, file):
    assert run(capsys, "sample", file, "-n", 4, "--out", "b.npz", "--labels", "two")[0] == 0
    with np.load("b.npz") as new:
        assert new["y"].tolist() == ["two"] * 4
    assert run(capsys, "sample", file, "-n", 4, "--out", "c.npz", "--no-labels")[0] == 0
    with np.load("c.npz") as new:
        assert "y" not in new


def test_csv_with_channels(capsys):
    np.savetxt("a.csv", series().reshape(56, 8), delimiter=",")
    assert run(capsys, "sample", "a.csv", "--channels", 2, "-n", 3, "--out", "b.npz")[0] == 0
    with np.load("b.npz") as new:
        assert new["X"].shape == (3, 2, 4)


def test_report(capsys, file):
    status, out, err = run(capsys, "report", file, "--out", "r.html", "--title", "My <series>")
    assert (status, err) == (0, [])
    assert "r.html" in out
    with open("r.html", encoding="utf-8") as stream:
        assert "<h1>My &lt;series&gt;</h1>" in stream.read()


def test_config(capsys):
    status, out, err = run(capsys, "config")
    assert (status, err) == (0, [])
    assert "backend" in out
    assert json.loads(run(capsys, "config", "--json")[1])["backend"]


def test_demo_in_full(capsys):
    start = time.perf_counter()
    status, out, _ = run(capsys, "demo", "--out", "demo", "-n", 90)
    assert status == 0
    assert time.perf_counter() - start < 240, "15 to 20 s where two cores are free; this is for a hang, not for a busy machine"
    for word in (
        "Japanese Vowels",
        "lower limit",
        "end points",
        "clusters",
        "generator",
        "nearness",
        "report.html",
        "samples.npz",
    ):
        assert word in out
    assert sorted(os.listdir("demo")) == ["report.html", "samples.npz"]
    with np.load("demo/samples.npz", allow_pickle=False) as new:
        assert new["X"].shape == (90, 12, 25)
        assert np.bincount(new["y"])[1:].tolist() == [10] * 9
        assert new["f"].shape == (90,)
        assert np.median(new["distance_ratio"]) > 0.7
        assert "CC BY 4.0" in json.loads(str(new["provenance"]))["credit"]
    with open("demo/report.html", encoding="utf-8") as stream:
        assert "CC BY 4.0" in stream.read()


@pytest.mark.parametrize("job", ["", *_cli.JOBS])
def test_help_has_an_example(capsys, job):
    with pytest.raises(SystemExit) as caught:
        main([job, "--help"] if job else ["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert all(len(line) <= 130 for line in text.splitlines())


def test_sample_refuses_copies_and_walks_in_other_ways(capsys, file):
    assert run(capsys, "sample", file, "-n", 30, "--out", "a.npz")[0] == 0
    status, out, err = run(capsys, "sample", file, "-n", 30, "--out", "b.npz", "--min-novelty", "0.8")
    assert status == 0
    assert err == []
    told = next(line for line in out.splitlines() if line.startswith("refused"))
    assert int(told.split()[1]) > 0
    with np.load("a.npz") as plain, np.load("b.npz") as new:
        assert plain["distance_ratio"].min() < 0.8 <= new["distance_ratio"].min()
    status, out, err = run(capsys, "sample", file, "-n", 20, "--out", "c.npz", "--walk", "gradient")
    assert status == 0
    assert "a gradient walk into the next cluster" in out
    assert all("near-copies" in line for line in err)
    status, _, err = run(capsys, "sample", file, "-n", 3, "--out", "d.npz", "--min-novelty", "9")
    assert status == 2
    assert "within the sampler's reach" in err[0]


def test_grouped_data_are_announced_in_one_line(capsys):
    rng = np.random.default_rng(0)
    np.save("g.npy", np.repeat(rng.normal(size=(20, 6)), 4, axis=0) + 0.05 * rng.normal(size=(80, 6)))
    status, _, err = run(capsys, "sample", "g.npy", "-n", 3, "--out", "b.npz")
    assert status == 0
    assert [line.startswith("dualwalk: warning: the data look grouped") for line in err] == [True]


def test_small_samples_are_one_line(capsys):
    np.save("a.npy", series(9, (2, 60)))
    status, _, err = run(capsys, "sample", "a.npy", "-n", 3, "--out", "b.npz")
    assert status == 0
    assert [line.startswith("dualwalk: warning: 9 samples are few") for line in err] == [True]


# what it refuses


@pytest.mark.parametrize(
    ("argv", "match"),
    [
        ([], "name a job"),
        (["fly"], "invalid choice: 'fly'"),
        (["estimate"], "FILE"),
        (["estimate", "a.npz", "--jsn"], "unrecognized arguments"),
        (["estimate", "none.npz"], "there is no such file"),
        (["estimate", "a.npz", "--threads", "0"], "--threads must be at least 1"),
        (["estimate", "a.npz", "--channels", "x"], "--channels must be a whole number; got 'x'"),
        (["sample", "a.npz", "--out", "b.npz"], "-n"),
        (["sample", "a.npz", "-n", "-3", "--out", "b.npz"], "-n must be at least 1; got -3"),
        (["sample", "a.npz", "-n", "3", "--out", "b.txt"], "must end in .npz, .npy or .csv"),
        (["sample", "a.npz", "-n", "3", "--out", "none/b.npz"], "folder that exists"),
        (["sample", "a.npz", "-n", "3", "--out", "b.npz", "--labels", "one,three"], "got 'three' (choose among one, two)"),
        (
            ["sample", "a.npz", "-n", "3", "--out", "b.npz", "--labels", "one", "--no-labels"],
            "--labels needs a file with labels",
        ),
        (["sample", "a.npz", "-n", "3", "--out", "b.npz", "--seed", "-1"], "--seed must be at least 0"),
        (["sample", "a.npz", "-n", "3", "--out", "b.npz", "--min-novelty", "x"], "--min-novelty must be a real number"),
        (["sample", "a.npz", "-n", "3", "--out", "b.npz", "--walk", "levy"], "invalid choice: 'levy'"),
        (["report", "a.npz", "--out", "r.txt"], "must end in .html"),
        (["report", "none.npz", "--out", "r.html"], "there is no such file"),
        (["demo", "--out", "a.npz"], "must be a folder; got a file"),
        (["demo", "--out", "none/demo"], "folder that exists"),
    ],
)
def test_bad_usage_is_one_line(capsys, file, argv, match):
    refused(capsys, *argv, match=match)


@pytest.mark.parametrize("job", ["estimate", "sample", "report"])
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"\x80\x05K\x01.", "got a pickle"),
        (b"PK\x03\x04 not an archive", "damaged"),
        (series(5), "at least 8 samples; got 5"),
        (np.full((9, 3), np.nan), "must be finite; got nan at index (0, 0)"),
        (np.array([None] * 9), "Python objects"),
        (series()[0, 0], "got shape (4,)"),
    ],
)
def test_bad_files_are_one_line(capsys, job, content, match):
    if isinstance(content, bytes):
        with open("a.npy", "wb") as stream:
            stream.write(content)
    else:
        np.save("a.npy", content, allow_pickle=True)
    more = {"estimate": [], "sample": ["-n", "3", "--out", "b.npz"], "report": ["--out", "r.html"]}[job]
    refused(capsys, job, "a.npy", *more, match=match)


def test_report_needs_no_matplotlib(capsys, monkeypatch, file):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(capsys, "report", file, "--out", "r.html")[0] == 0


def test_ctrl_c(capsys, monkeypatch, file):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(DualSampler, "fit", stop)
    status, out, err = run(capsys, "sample", file, "-n", 3, "--out", "b.npz")
    assert (status, out, err) == (130, "", ["dualwalk: stopped by Ctrl-C"])
    assert os.listdir() == ["a.npz"]


# as a program


def program(*argv, **options):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "dualwalk", *argv], **{**streams, **options})


def test_program(file):
    process = program("estimate", "none.npz")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err.count("\n") == 1
    process = program("--version")
    assert process.communicate()[0].startswith("dualwalk 0.")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_program_stops_within_a_second_or_two():
    process = program("demo", "--out", "demo")
    assert process.stdout.readline().startswith("dualwalk")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    start = time.perf_counter()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.perf_counter() - start < 5
    assert err.splitlines()[-1] == "dualwalk: stopped by Ctrl-C"
    assert "Traceback" not in err
    assert os.listdir("demo") == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_that_leaves_early_is_no_error():
    read, write = os.pipe()
    process = program("config", stdout=write)
    os.close(read)
    os.close(write)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


# progress


def test_lines_are_few(capsys):
    with _progress.Lines(every=0, quiet_for=0) as show:
        show(1, 4, "working")
    assert capsys.readouterr().err == "dualwalk: working 25 %\n"
    with _progress.Lines(every=100, quiet_for=0) as show:
        for k in range(100):
            show(k, 100, "working")
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bar_where_rich_and_a_terminal_are(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.undo()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with _progress.progress() as show:
        assert isinstance(show, _progress.Bar)
        show(1, 4, "working [1/4]")
        show(4, 4, "")
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert isinstance(_progress.progress(), _progress.Lines)
