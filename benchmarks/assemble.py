"""How good the proposals of `auxreid assemble` are against labels, and how many keys a review of them takes.

    python benchmarks/assemble.py                       # on videos of the rendered sample's dogs
    python benchmarks/assemble.py raw/mydogs truth.csv  # on a set that is assembled

truth.csv has the columns `name` (of a photograph's or a video's file) and `dog_id`. The
simulated person answers by the labels, the most urgent proposal first, and the proposals are made anew after every ten
dogs, as by running the command again. Decisions of a real review are left as they are.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table
from sample_films import write_films

from auxreid.assembling.decisions import Decision, verdict
from auxreid.assembling.items import same_photograph
from auxreid.assembling.measure import Quality, candidates, quality, review
from auxreid.assembling.networks import backbone_network, encoder_network
from auxreid.assembling.proposals import propose
from auxreid.assembling.run import Assembly, Wishes, assemble
from auxreid.assembling.thresholds import Thresholds
from auxreid.data.tables import read_table
from auxreid.plumbing.settings.load import load_config

AT_ONCE = 10  # dogs between two runs of the command
ASKED = 0.99  # precision


@dataclass(frozen=True)
class Moment:
    """How the proposals stand after a part of the review."""

    looked_at: int
    keys: int
    quality: Quality


def read_labels(table: Path) -> dict[str, str]:
    """The dog of each file."""
    rows = read_table(table)
    return dict(zip(rows["name"], rows["dog_id"], strict=True))


def labels(assembly: Assembly, dog_of: dict[str, str]) -> dict[str, str]:
    """The dog of each photograph whose file, or video, has one."""
    named = {
        photo: dog_of.get(Path(item.stream if item.is_frame else item.path).name)
        for photo, item in assembly.found.items.items()
    }
    return {photo: dog for photo, dog in named.items() if dog}


def moments(assembly: Assembly, truth: dict[str, str], thresholds: Thresholds) -> Iterator[Moment]:
    """Before the review, and after every ten dogs until no proposal is in doubt."""
    kept = [at for at, photo in enumerate(assembly.found.items) if photo in truth]
    items = [list(assembly.found.items.values())[at] for at in kept]
    photos = [item.photo for item in items]
    place = {photo: at for at, photo in enumerate(photos)}
    alike = assembly.alike[kept][:, kept]
    decisions: list[Decision] = []
    looked_at = keys = 0
    while True:
        proposals = propose(photos, alike, same_photograph(items), verdict(decisions), thresholds)
        yield Moment(looked_at, keys, quality(proposals, truth))
        near = candidates(proposals, place, alike)
        answers = list(review(proposals, near, truth, assembly.found.sequences, AT_ONCE))
        if not answers:
            return
        for lines, pressed in answers:
            decisions += [replace(line, step=f"{looked_at:06d}-{line.step}") for line in lines]
            keys += pressed
        looked_at += len(answers)


def main() -> None:
    """Print a line after every ten dogs, and how many keys it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("truth", type=Path, nargs="?")
    parser.add_argument("--encoder", type=Path, help="an encoder.safetensors; else the backbone of the recipe dogs")
    given = parser.parse_args()
    if given.encoder is None:
        network = backbone_network("dogs", load_config().recipes["dogs"].attributes)
    else:
        network = encoder_network(given.encoder, "32-true", str(given.encoder), None)
    if given.out is not None and given.truth is None:
        parser.error("truth.csv is needed beside the folder")
    with TemporaryDirectory() as made:
        films = Path(made, "films")
        dog_of = write_films(films) if given.out is None else read_labels(given.truth)
        out = Path(made, "out") if given.out is None else given.out
        assembly = assemble([films] if given.out is None else [], Wishes(out, network))
    truth = labels(assembly, dog_of)
    show(list(moments(assembly, truth, Thresholds())), truth)


def show(found: list[Moment], truth: dict[str, str]) -> None:
    """Print the moments of a review."""
    table = Table("dogs looked at", "keys", "precision", "recall", "proposals")
    for one in found:
        how = one.quality
        table.add_row(str(one.looked_at), str(one.keys), f"{how.precision:.3f}", f"{how.recall:.3f}", str(how.dogs))
    Console().print(table)
    reached = next((one for one in found if one.quality.precision >= ASKED and one.keys), None)
    print(f"{len(truth)} photographs of {len(set(truth.values()))} dogs")
    if reached is not None:
        print(f"{ASKED:.0%} precision after {reached.keys} keys at {reached.looked_at} proposals")


if __name__ == "__main__":
    main()
