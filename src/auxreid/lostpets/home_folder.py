"""The folder in which the service keeps everything: for its owner alone."""

from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError


def home_folder(home: Path) -> Path:
    """Made if it is not there.

    Raises:
        ConfigError: it is no folder, or cannot be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"--home {home}: cannot be made a folder ({error.strerror}); name another one") from None
    return home
