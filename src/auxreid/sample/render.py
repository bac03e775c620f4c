"""The whole sample: two folders of pictures of which everything is known."""

from pathlib import Path

from auxreid.sample.dog_set import render_dogs
from auxreid.sample.people_set import render_people


def render_sample(root: Path, overwrite: bool = False) -> tuple[Path, Path]:
    """Render root/people and root/dogs and return both.

    Equal bytes on every x86-64 machine with the locked packages. DataError if one of the folders is there and not
    empty, unless `overwrite`: then it is replaced once the new one is complete.
    """
    root = Path(root)
    return render_people(root, overwrite=overwrite), render_dogs(root, overwrite=overwrite)
