"""How a script of pipeline/ is run: it ends with DVC, and what a user can act on is a line instead of a traceback."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from auxreid.dvc_watch import end_with_dvc
from auxreid.errors import ConfigError, DataError
from auxreid.files import is_full_disk


def run_script(main: Callable[..., None]) -> None:
    """Call `main` with the command line's arguments; exit code 1 and one line for an error that a user can act on."""
    with told_errors():
        end_with_dvc()
        main(*sys.argv[1:])


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
