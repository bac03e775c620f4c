"""How a script of pipeline/ is run: it ends with DVC, and what a user can act on is a line instead of a traceback."""

import ast
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError, DataError, UsageError
from auxreid.plumbing.base.files import is_full_disk
from auxreid.plumbing.base.interrupted import INTERRUPTED, tell_interrupted
from auxreid.plumbing.graph.table import GRAPH_FILE
from auxreid.plumbing.stage.dvc_watch import end_with_dvc
from auxreid.plumbing.stage.instance import Stage, open_stage

HELP = frozenset({"-h", "--help"})


def run_script(main: Callable[[Stage], None]) -> None:
    """Call `main` with the stage that the command line names; a line and an exit code for an error of the user's."""
    with told_errors():
        show_help_if_asked()
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


def show_help_if_asked() -> None:
    """Print what the script does and how it is called, and end, if the command line asks for it."""
    if HELP.isdisjoint(sys.argv[1:]):
        return
    print(f"{_docstring(Path(sys.argv[0]))}\n\nDVC calls it, for each key of it in {GRAPH_FILE}.")
    raise SystemExit(0)


def asked_stage() -> Stage:
    """The stage that `python pipeline/<stage>.py KEY` asks for.

    Raises:
        UsageError: there is not one key, or it is none of the study's; how the script is called stands before.
        ConfigError: as :func:`open_stage`.
    """
    script, keys = Path(sys.argv[0]).resolve(), sys.argv[1:]
    usage = _docstring(script).rpartition("\n")[2]
    if len(keys) != 1:
        raise UsageError(f"{usage}, a key of {GRAPH_FILE}; {len(keys)} arguments were given")
    try:
        return open_stage(script.stem, keys[0], script.parents[1])
    except UsageError as error:
        raise UsageError(f"{usage}; {error}") from None


def _docstring(script: Path) -> str:
    """What a script says of itself; its last line is its usage."""
    return ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""


@contextmanager
def told_errors() -> Iterator[None]:
    """Ends the process for an error that a user can act on, or by Ctrl-C, with one line."""
    try:
        yield
    except KeyboardInterrupt:
        tell_interrupted()
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if not is_expected(error):
            raise
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(2 if isinstance(error, UsageError) else 1) from None


def is_expected(error: Exception) -> bool:
    """Bad input, a loss that is not finite, or a full disk; anything else is a fault of ours."""
    return isinstance(error, (ConfigError, DataError, FloatingPointError)) or is_full_disk(error)
