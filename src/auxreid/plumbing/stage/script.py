"""How a script of pipeline/ is run: it ends with DVC, and what a user can act on is a line instead of a traceback."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.files import is_full_disk
from auxreid.plumbing.stage.dvc_watch import end_with_dvc
from auxreid.plumbing.stage.instance import Stage, open_stage


def run_script(main: Callable[[Stage], None]) -> None:
    """Call `main` with the stage that the command line names; exit code 1 and a line for an error of the user's."""
    with told_errors():
        end_with_dvc()
        main(asked_stage())
    if Path(getattr(sys.modules["__main__"], "__file__", None) or "").resolve() == Path(sys.argv[0]).resolve():
        _leave()


def _leave() -> None:
    """End the program here: everything is written, and the interpreter's own end costs a second where torch is loaded,
    spent on memory that the system takes back anyway."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def asked_stage() -> Stage:
    """The stage that `python pipeline/<stage>.py KEY` asks for.

    Raises:
        ConfigError: there is not one key, or as :func:`open_stage`.
    """
    script, keys = Path(sys.argv[0]).resolve(), sys.argv[1:]
    if len(keys) != 1:
        raise ConfigError(f"usage: python pipeline/{script.name} KEY, with a key of pipeline/graph.yaml")
    return open_stage(script.stem, keys[0], script.parents[1])


@contextmanager
def told_errors() -> Iterator[None]:
    """Ends the process for an error that a user can act on, with the error as one line."""
    try:
        yield
    except Exception as error:
        if not is_expected(error):
            raise
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None


def is_expected(error: Exception) -> bool:
    """Bad input, a loss that is not finite, or a full disk; anything else is a fault of ours."""
    return isinstance(error, (ConfigError, DataError, FloatingPointError)) or is_full_disk(error)
