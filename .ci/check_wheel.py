"""Checks wheels before they are published: nothing missing, nothing that does not belong there, not too large.

python .ci/check_wheel.py FOLDER        (or wheels one by one)
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path, PurePosixPath

MB = 1e6
LARGEST = {"wheel": 4.0 * MB, "wheel with _cuda": 9.0 * MB}  # 2.8 and 7.1 MB when this was written
NEEDED = ("dualwalk/py.typed", "dualwalk/_core.pyi", "dualwalk/data/japanese_vowels.npz", "dualwalk/data/NOTICE.md")
SUFFIXES = {".py", ".pyi", ".typed", ".npz", ".md", ".so", ".pyd", ".dylib", ".dll", ".txt", ".html", ".css", ".js", ".svg"}


def faults(wheel: Path) -> list[str]:
    """What is wrong with a wheel, in sentences."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.compress_size for entry in archive.infolist() if not entry.is_dir()}
    found = [f"{name} is missing" for name in NEEDED if name not in sizes]
    compiled = {name for name in sizes if PurePosixPath(name).suffix in (".so", ".pyd")}
    if not any(name.startswith("dualwalk/_core.") for name in compiled):
        found.append("the compiled kernels (dualwalk/_core) are missing")
    for name in sizes:
        top = name.split("/")[0]
        if top not in ("dualwalk", "dualwalk.libs") and not top.endswith(".dist-info"):
            found.append(f"{name} does not belong into the wheel")
        elif top == "dualwalk" and PurePosixPath(name).suffix not in SUFFIXES:
            found.append(f"{name} is no kind of file that the package has (else add it to SUFFIXES)")
    limit = LARGEST["wheel with _cuda" if any("/_cuda." in name for name in compiled) else "wheel"]
    if wheel.stat().st_size > limit:
        largest = ", ".join(f"{name} {size / MB:.2f} MB" for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:3])
        found.append(f"it has {wheel.stat().st_size / MB:.2f} MB, more than {limit / MB:.1f} MB (the largest: {largest})")
    return found


def main(arguments: list[str]) -> int:
    wheels = [wheel for path in map(Path, arguments) for wheel in (sorted(path.glob("*.whl")) if path.is_dir() else [path])]
    if not wheels:
        print("no wheels in", *arguments, file=sys.stderr)
        return 1
    bad = False
    for wheel in wheels:
        wrong = faults(wheel)
        bad |= bool(wrong)
        print(f"{wheel.name}: {wheel.stat().st_size / MB:.2f} MB", *wrong, sep="\n  ")
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
