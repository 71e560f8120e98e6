"""What Windows asks the processor itself is what the compiler's library says of it elsewhere."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "csrc" / "cpu"
COMPILER = shutil.which("g++") or shutil.which("clang++")

PROGRAM = """
#include "processor.hpp"
int main() {
  const dualwalk::Instructions asked = dualwalk::ask_processor(), known = dualwalk::instructions();
  return asked.avx2 != known.avx2 || asked.avx512 != known.avx512;
}
"""


@pytest.mark.skipif(
    COMPILER is None or not SOURCE.exists() or platform.machine() != "x86_64" or platform.system() == "Darwin",
    reason="needs g++ or clang++, the source tree and an x86-64 processor under a system that saves all registers from the start",
)
def test_the_processor_and_the_library_agree(tmp_path: Path) -> None:
    (tmp_path / "agree.cpp").write_text(PROGRAM)
    command = [str(COMPILER), "-std=c++17", f"-I{SOURCE}", "agree.cpp", "-o", "agree"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "agree"], check=False).returncode == 0
