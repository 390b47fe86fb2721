"""As a shell: run a lab in the background of a terminal, and look whose the terminal is when it has ended."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.lab.outside import ENVIRONMENT, lab_run

pid, terminal = pty.fork()
if pid == 0:
    process = subprocess.Popen(lab_run("--", "true"), process_group=0, env=ENVIRONMENT)
    os._exit(process.wait() or os.tcgetpgrp(0) != os.getpgrp())
try:
    while os.read(terminal, 1024):
        pass
except OSError:  # how a terminal says that nobody has its other end
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
