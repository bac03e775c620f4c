"""The base in a home folder: of a study's rows, and of what else was indexed or reported."""

import shutil
from pathlib import Path

from auxreid.lostpets.base.base import Base
from auxreid.lostpets.home_folder import home_folder
from auxreid.lostpets.indexing.study_rows import bring_in, header_for
from auxreid.search.rows import IndexRows

FOLDER = "base"  # of a home folder


def open_home_base(home: Path, rows: IndexRows) -> Base:
    """The base, made if it is not there, with these rows of the study as they are now.

    Raises:
        ConfigError: it is of other networks, or the home folder cannot be made.
    """
    path, header = home_folder(home) / FOLDER, header_for(rows)
    base = Base.open(path, model=header.model, writable=True) if path.exists() else Base.create(path, header)
    bring_in(base, rows)
    return base


def rebuild(home: Path, rows: IndexRows) -> list[str]:
    """A new base of the study's rows in the place of the old one, which no process may have open.

    Reports' photographs come back when the service starts, which has them.

    Returns:
        The sources that the new base does not have.
    """
    path = home / FOLDER
    new, old = path.with_name(f".{FOLDER}.new"), path.with_name(f".{FOLDER}.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    before = Base.open(path).sources() if path.exists() else {}
    home_folder(home)
    base = Base.create(new, header_for(rows))
    bring_in(base, rows)
    missing = sorted(before.keys() - base.sources().keys())
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    return missing
