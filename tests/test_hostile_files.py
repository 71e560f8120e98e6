"""Files from a stranger: nothing in them runs, nothing is written, and no more memory is taken than they have a right to."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dualwalk._files import read_series
from dualwalk.cli import main

HERE = Path(__file__).parent


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def header(text, version=1):
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text.encode()


def archive(*members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as made:
        warnings.simplefilter("ignore")  # of names that are there already
        for name, content in members:
            made.writestr(name, content)
    return stream.getvalue()


def refused(path, content, match, *, most=1 << 20):
    """The file is refused in one line with a remedy, and reading it takes less than `most` bytes of memory."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            read_series(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak} bytes for a file of {len(content)}"
    message = str(caught.value)
    assert str(path) in message
    assert message.isprintable()
    assert message.endswith(")")


# bombs


def test_zeros_that_expand_a_thousandfold_are_refused_before_memory_is_taken(tmp_path):
    zeros = npy(np.zeros((10_000, 1000)))  # 80 MB
    bomb = archive(("X.npy", zeros))
    assert len(bomb) < len(zeros) / 500
    refused(tmp_path / "a.npz", bomb, "would expand from .* as bombs do")
    refused(tmp_path / "a.npz", archive(("data.npy", zeros), ("scale.npy", npy(np.float64(2)))), "would expand from")
    refused(tmp_path / "a.npz", archive(("X.npy", npy(np.zeros((9, 2)))), ("y.npy", zeros)), "array y is damaged.*would expand")


def test_arrays_that_shrink_as_measured_ones_do_are_read(tmp_path):
    X = np.repeat(np.random.default_rng(0).integers(0, 4, size=(9000, 25)), 40, axis=1).astype(float)  # 72 MB
    np.savez_compressed(tmp_path / "a.npz", X=X)
    assert X.nbytes / 180 < (tmp_path / "a.npz").stat().st_size < X.nbytes / 60
    np.testing.assert_array_equal(read_series(tmp_path / "a.npz").X, X)
    np.savez(tmp_path / "b.npz", X=np.zeros((10_000, 100)))  # whatever it is, as long as the file is as long
    assert read_series(tmp_path / "b.npz").X.shape == (10_000, 100)


@pytest.mark.parametrize("announced", [1 << 31, (1 << 32) - 2])
def test_a_member_that_announces_more_than_deflate_can_hold(tmp_path, announced):
    content = archive(("X.npy", npy(np.zeros((9, 4)))))
    start = content.rindex(b"PK\1\2")
    forged = content[: start + 24] + struct.pack("<L", announced) + content[start + 28 :]
    refused(tmp_path / "a.npz", forged, f"would expand from .* to {announced} bytes")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_shrink_without_limit_are_not_read(tmp_path, method):
    for name in ("X.npy", "data.npy"):
        refused(tmp_path / "a.npz", archive((name, npy(np.zeros((9, 4)))), method=method), "NumPy never writes")


def test_many_members_are_not_listed(tmp_path):
    member = archive(("a.npy", b""), method=zipfile.ZIP_STORED)
    begin, end = member.index(b"PK\1\2"), member.index(b"PK\5\6")
    entry, n = member[begin:end], 30_000
    flood = member[:begin] + entry * n + struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, n, n, len(entry) * n, begin, 0)
    refused(tmp_path / "a.npz", flood, "announces 30000 members, and at most 20000 are read")
    denied = flood[:-14] + struct.pack("<HH", 1, 1) + flood[-10:]
    refused(tmp_path / "a.npz", denied, "announces 1 members, and its directory has more", most=2 * len(flood))


def test_members_of_one_name_and_many_tables_take_the_memory_of_none(tmp_path):
    table = npy(np.zeros((1000, 100)))  # 0.8 MB each
    refused(tmp_path / "a.npz", archive(*((f"t{k}.npy", table) for k in range(40))), "exactly one 2-D or 3-D array; got t0, t1")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"), "announced"),
        (header("{'descr': '<U900000000', 'fortran_order': False, 'shape': (1,), }\n"), "announced|dtype"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 20 + ", 0), }\n"), "damaged|must have"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9," * 60 + "), }\n"), "announced"),
        (header("[" * 60_000), "header of 60000 bytes"),
        (header(" " * (1 << 22), version=2), "header of 4194304 bytes"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "header of 4294967295 bytes"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os').getpid(),), }\n"), "not that of an array"),
        (header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (8,), }\n") + bytes(64), "must hold real numbers"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (8,)}#\x1b[2J\n") + bytes(64), "must hold real numbers"),
        (header("{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (8, 1)}\n") + bytes(64), "dtype '<M8"),
        (header("{'descr': '<f3', 'fortran_order': False, 'shape': (8, 1)}\n") + bytes(24), "dtype '<f3'"),
        (header("{'descr': '|b1', 'fortran_order': False, 'shape': (8, 1)}\n") + bytes(range(8)), "neither true nor false"),
    ],
)
def test_headers_are_not_believed(tmp_path, content, match):
    refused(tmp_path / "a.npy", content, match)


def test_headers_that_others_write_are_read(tmp_path):
    X = np.arange(24.0).reshape(8, 3)
    for text in (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (8, 3)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (8L, 3L), }\n",
        '{"shape":(8,3),"fortran_order":False,"descr":"<f8"}',
        "{ 'fortran_order' : False , 'shape' : ( 8 , 3 , ) , 'descr' : '=f8' }   \n",
    ):
        for version in (1, 2):
            (tmp_path / "a.npy").write_bytes(header(text, version) + X.tobytes())
            np.testing.assert_array_equal(read_series(tmp_path / "a.npy").X, X)


def test_a_table_takes_memory_in_proportion_to_its_text(tmp_path):
    for text in ("1," * 20_000 + "1\n", "1\n" * 10_000, '"' + "1" * 50_000 + '"\n', "y,a\n" + "ab,1\n" * 5_000):
        path = tmp_path / "a.csv"
        path.write_text(text)
        tracemalloc.start()
        with suppress(ValueError):  # for the cell that is too long
            read_series(path, min_samples=1, missing=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 25 * len(text) + 100_000, f"{peak} bytes for {len(text)} of text"


# nothing runs, nothing is written, no terminal obeys


def test_labels_of_a_file_do_not_reach_the_terminal_as_they_are(tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(20, 3))
    np.savez(tmp_path / "a.npz", X=X, y=np.array(["\x1b[2J\x1b]0;owned\x07", "calm"] * 10))
    command = ["sample", str(tmp_path / "a.npz"), "-n", "3", "--labels", "wild", "--out", str(tmp_path / "b.npz"), "--quiet"]
    assert main(command) == 2
    said = capsys.readouterr()
    assert "choose among" in said.err
    assert not {"\x1b", "\x07"} & set(said.out + said.err)


class Exploit:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return Path.write_text, (Path(self.place), "a pickle was loaded")


WATCHED = """
import sys
from pathlib import Path
import dualwalk as dw
from dualwalk._files import read_series
from dualwalk.cli import main

paths = [Path(line) for line in sys.stdin.read().split("\\0")]

def read(path):
    for reader in (lambda: dw.load(path), lambda: read_series(path, min_samples=1)):
        try:
            reader()
        except ValueError:
            pass

for path in paths:
    read(path)  # what is imported at a first call is imported now
names = {str(path) for path in paths}
seen, watching = [], True

def watch(event, arguments):
    if watching and not (event == "open" and str(arguments[0]) in names and arguments[1] in ("r", "rb")):
        seen.append((event, repr(arguments)[:100]))

sys.addaudithook(watch)
for path in paths:
    read(path)
watching = False
harmless = {"array.__new__", "builtins.id", "object.__getattr__", "object.__setattr__", "sys._getframe"}
print(sorted({event for event, _ in seen} - harmless), [entry for entry in seen if entry[0] not in harmless][:5])
"""


def test_reading_opens_the_file_and_does_nothing_else(tmp_path):
    """Python's audit events of reading every kind of hostile file: no import, no code object, no process, no other file."""
    trap = tmp_path / "trap"
    exploit = np.array([[Exploit(str(trap))]] * 8)
    made = {
        "pickle.npy": pickle.dumps(exploit),
        "objects.npy": npy(exploit, allow_pickle=True),
        "objects.npz": archive(("X.npy", npy(exploit, allow_pickle=True))),
        "code.npy": header(f"{{'descr': open('{trap}', 'w'), 'fortran_order': False, 'shape': (8, 1)}}\n"),
        "outside.npz": archive(("../../X.npy", npy(np.zeros((8, 2)))), (str(trap), b"1"), ("X.npy", npy(np.zeros((8, 2))))),
        "formula.csv": f"=cmd|'/c touch {trap}',1\n2,3\n".encode(),
    }
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    kept = [path for path in (HERE / "fuzz" / "corpus").rglob("*") if path.is_file()]
    paths = [*(tmp_path / name for name in made), *kept, *(HERE / "golden").glob("*.npz")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCHED],
        input="\0".join(map(str, paths)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[] []"), done.stdout
    assert not trap.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(made)
