"""Ends a program together with whatever it started: a process group that the caller made for it."""

import os
import signal
import subprocess


def end(process, patience_s):
    """Ends what still runs of the group: first asked for, so that it can end its own programs, then by force."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
