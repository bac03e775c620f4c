"""`auxreid index`: photographs into the base that `auxreid serve` searches, also while it is served."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from auxreid.data.layouts.listing import LeftOut
from auxreid.lostpets.base.base import Base
from auxreid.lostpets.indexing.home import open_home_base
from auxreid.lostpets.indexing.looked import Looked, look
from auxreid.lostpets.indexing.photographs import Photograph, listed
from auxreid.lostpets.looker import Looker
from auxreid.lostpets.study import Made
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.progress import track
from auxreid.search.networks import Files
from auxreid.serving.photos import told

BATCH = 64  # photographs that are looked at and added at once

Batch = list[tuple[str, Photograph]]  # each with its name in the base


@dataclass
class Done:
    """What came of the photographs."""

    added: int = 0
    known: int = 0  # were in the base, or are there twice
    left_out: list[LeftOut] = field(default_factory=list)
    seconds: float = 0.0


def index_photographs(
    home: Path, made: Made, place: Path, looked: Callable[[Files, str, Iterable[Batch]], Iterator[Looked]] | None = None
) -> Done:
    """Add the photographs of a folder or list to the home folder's base. What is there already is passed over, so that
    a killed one goes on where it was.

    Args:
        looked: what looks at the batches, in any order; None: this process.

    Raises:
        ConfigError: the base is of other networks.
        DataError: the folder or list is wrong.
    """
    photographs = listed(place)
    started, base, done = perf_counter(), open_home_base(home, made.rows), Done()
    new = track(_new(base, photographs, done), f"indexing {place.name}", total=-(-len(photographs) // BATCH))
    for one in (looked or _looked_here)(made.files, place.name, new):
        rows = _not_there(base, one, done)
        base.add(rows)
        done.added += len(rows)
        done.left_out += one.left_out
    base.tidy()
    done.seconds = perf_counter() - started
    return done


def summary(done: Done) -> str:
    """For people, with the first of those that cannot be used."""
    text = f"{done.added} photographs added, {done.known} were there"
    if done.added:
        text += f", {1e3 * done.seconds / done.added:.0f} ms each"
    return text + (f"; {len(done.left_out)} cannot be used: {told(done.left_out)}" if done.left_out else "")


def _new(base: Base, photographs: Sequence[Photograph], done: Done) -> Iterator[Batch]:
    """Batches of what the base has not."""
    for start in range(0, len(photographs), BATCH):
        named = list(_named(photographs[start : start + BATCH], done))
        batch = dict(named)
        known = base.known(batch)
        done.known += len(named) - len(batch) + len(known)
        left = [(name, one) for name, one in batch.items() if name not in known]
        if left:
            yield left


def _named(photographs: Iterable[Photograph], done: Done) -> Iterator[tuple[str, Photograph]]:
    """Those whose files can be read."""
    for one in photographs:
        try:
            yield one.frame(), one
        except DataError as error:
            done.left_out.append(LeftOut(str(one.path), str(error).removeprefix(f"{one.path}: ")))


def _not_there(base: Base, looked: Looked, done: Done) -> list:
    """Batches that are looked at side by side may have a photograph in common."""
    known = base.known(row.frame for row in looked.rows)
    done.known += len(known)
    return [row for row in looked.rows if row.frame not in known]


def _looked_here(files: Files, source: str, batches: Iterable[Batch]) -> Iterator[Looked]:
    looker = Looker(files)
    for batch in batches:
        names, photographs = zip(*batch, strict=True)
        yield look(looker, names, photographs, source)
