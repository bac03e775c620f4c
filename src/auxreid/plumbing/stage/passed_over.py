"""What a stage can do without: a fault in it is a line on the standard error, and never the end of a training."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from auxreid.plumbing.base.yaml_file import one_line


@contextmanager
def passed_over(what: str) -> Iterator[None]:
    """Any exception of the block is told as "<what>: ... (the stage goes on)" and goes no further."""
    try:
        yield
    except Exception as error:
        tell(what, error)


def tell(what: str, error: Exception) -> None:
    words = one_line(error) if isinstance(error, (ValueError, OSError)) and str(error) else one_line(repr(error))
    with suppress(Exception):  # the standard error may be closed
        print(f"{what}: {words} (the stage goes on)", file=sys.stderr, flush=True)
