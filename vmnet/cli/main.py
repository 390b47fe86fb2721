"""Where `vmnet` begins: `--version` without any import, everything else with its own."""

import os
import sys

from vmnet import __version__


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        from vmnet.cli.closed import stand_in

        stand_in()
    code = _print_version() if sys.argv[1:] in (["--version"], ["-V"]) else _run()
    os._exit(code)  # all is written and closed: to take Python apart takes a third as long as starting it


def _print_version() -> int:
    try:
        sys.stdout.write(f"vmnet {__version__}\n")
        sys.stdout.flush()
    except OSError as error:
        from vmnet.cli.face import lost

        return lost(error)
    return 0


def _run() -> int:
    """Run a command; its exit code, also where it is interrupted."""
    import gc
    import signal

    gc.disable()  # until the command's modules are there: none of them is ever garbage
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish
            signal.signal(number, signal.default_int_handler)
    try:
        from vmnet.cli.app import run

        return run()
    except KeyboardInterrupt:
        from vmnet.cli.face import tell

        tell("interrupted")
        return 1
