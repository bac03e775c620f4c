"""DVC's lock of the repository, for those that only read.

DVC writes dvc.lock in place, for up to seconds, and a YAML file that is cut off is mostly YAML still. It holds the lock
of the repository (.dvc/tmp/lock) while it does so, and gives it up while the command of a stage runs.
"""

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.yaml_file import one_line

TMP = Path(".dvc/tmp")
TELL_AFTER = 2.0  # seconds of waiting
PAUSE = 0.02  # seconds between two attempts
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
WAITING = "dvc.lock: waiting for another DVC command to end"


class DvcBusyError(DataError):
    """Another DVC command has the lock."""


@contextmanager
def dvc_is_quiet(root: Path, wait: bool = True) -> Iterator[None]:
    """While the block runs, no DVC writes in the repository. Other readers may be there at the same time.

    Nothing is locked where no DVC has ever been (no .dvc/tmp), nor where nobody may write.

    Args:
        wait: for as long as it takes, with one line on the standard error; otherwise there is one attempt.

    Raises:
        DvcBusyError: the lock is taken, and `wait` is false.
        ConfigError: .dvc/config cannot be read, which says of what kind the lock is.
    """
    folder = root / TMP
    with ExitStack() as held:
        if folder.is_dir():
            take = _take_hardlink if _is_hardlink(root) else _take
            wait_for(lambda: take(folder / "lock", held), wait)
        yield


def wait_for(attempt: Callable[[], bool], wait: bool) -> None:
    started, told = time.monotonic(), False
    while not attempt():
        if not wait:
            raise DvcBusyError("dvc.lock: another DVC command is at work")
        if not told and time.monotonic() - started >= TELL_AFTER:
            told = True
            print(WAITING, file=sys.stderr, flush=True)
        time.sleep(PAUSE)


def _is_hardlink(root: Path) -> bool:
    """The setting `core.hardlink_lock`, which is for file systems without locks."""
    from dvc.config import Config
    from dvc.config import ConfigError as DvcConfigError

    try:
        return bool(Config(str(root / ".dvc"))["core"].get("hardlink_lock", False))
    except DvcConfigError as error:
        raise ConfigError(f"{root / '.dvc/config'}: {one_line(error)}") from None


def _take(path: Path, held: ExitStack) -> bool:
    """DVC's own kind: flock on the file, exclusively, by zc.lockfile. A reader shares it with other readers."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise DataError(f"{path}: cannot be opened ({error.strerror})") from None
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return False
    except OSError as error:
        os.close(number)
        raise DataError(f"{path}: cannot be locked ({error.strerror}); see DVC's core.hardlink_lock") from None
    held.callback(_release, number)
    return True


def _release(number: int) -> None:
    fcntl.flock(number, fcntl.LOCK_UN)  # closing is not enough if a process was forked meanwhile
    os.close(number)


def _take_hardlink(path: Path, held: ExitStack) -> bool:
    from dvc.lock import LockError, make_lock

    lock = make_lock(str(path), tmp_dir=str(path.parent), hardlink_lock=True)
    try:
        lock.lock(timeout=timedelta(seconds=PAUSE))
    except LockError:
        return False
    held.callback(lock.unlock)
    return True
