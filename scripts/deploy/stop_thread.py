"""Stops one thread of another process, as a debugger does: for the fault "the poll thread is blocked". Linux, root.

Called by `scripts/deploy/live_faults.py`.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


def stop_poll_thread(pid: int, poll_age: Callable[[], float]) -> int:
    """Stop the thread whose standing still lets `poll_age` grow; its number. The tracer must live on meanwhile.

    Raises `LookupError` when none of them is it.
    """
    for thread in sorted(int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()):
        if thread == pid:
            continue
        trace(PTRACE_SEIZE, thread)
        trace(PTRACE_INTERRUPT, thread)
        time.sleep(2.5)
        try:
            if poll_age() > 2:
                return thread
        except OSError:
            pass  # it held the interpreter's lock: let it go
        let_go(thread)
    message = f"no thread of {pid} polls"
    raise LookupError(message)


def let_go(thread: int) -> None:
    """Let a stopped thread run on. Its process cannot end before."""
    os.waitpid(thread, 0x40000000)  # __WALL: a stopped thread must be waited for first
    trace(PTRACE_DETACH, thread)


def trace(request: int, thread: int) -> None:
    """One ptrace call. Raises `OSError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
