"""KeyboardInterrupt at every place of some Python files where Ctrl-C can land, one after the other."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any


def _looks_for_signals(code: CodeType, at: int) -> bool:
    """Whether Python looks for signals in this instruction: when a function begins or goes on, behind calls, in loops."""
    name = dis.opname[code.co_code[at]]
    return name.startswith("CALL") or name in ("RESUME", "JUMP_BACKWARD")


def every_interruption(work: Callable[[], Any], *files: str, step: int = 1) -> Iterator[int]:
    """Runs `work` again and again, interrupted at one place in these files after the other; yields the number of places so far.

    It ends when `work` comes through. A larger `step` leaves places out.
    """
    place = 0
    while _interrupted(work, place, files):
        yield place + 1
        place += step


def _interrupted(work: Callable[[], Any], place: int, files: tuple[str, ...]) -> bool:
    passed = -1
    behind: dict[FrameType, bool] = {}  # whether the instruction before looks for signals

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal passed
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if behind.get(frame, False):
                passed += 1
                if passed == place:
                    raise KeyboardInterrupt
            behind[frame] = _looks_for_signals(frame.f_code, frame.f_lasti)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
        behind.clear()
    return False
