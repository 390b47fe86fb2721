"""Where `vmnet` begins: `--version` without any import, everything else with its own."""

import os
import sys

from vmnet import __version__


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"vmnet {__version__}\n")
        return
    code = _run()
    os._exit(code)  # all is written and closed: to take Python apart takes a third as long as starting it


def _run() -> int:
    """Run a command; its exit code, also where it is interrupted or nobody reads on."""
    import gc
    import signal

    gc.disable()  # until the command's modules are there: none of them is ever garbage
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's wish
            signal.signal(number, signal.default_int_handler)
    try:
        from vmnet.cli.app import run

        code = run()
        if sys.stdout:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted; nothing was changed", file=sys.stderr)  # noqa: T201 - it bears a closed stderr
        return 1
    except BrokenPipeError:
        # Whoever read us has seen enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
