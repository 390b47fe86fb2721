"""Where `vmnet` begins: `--version` without a framework, everything else with it."""

from __future__ import annotations

import os
import signal
import sys

from vmnet import __version__
from vmnet.errors import ExitCode


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"vmnet {__version__}\n")
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish
            signal.signal(number, signal.default_int_handler)
    try:
        from vmnet.cli.app import run

        code = run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was changed\n")
        code = ExitCode.REFUSED
    except BrokenPipeError:
        # Whoever read us has seen enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.DONE
    sys.exit(code)
