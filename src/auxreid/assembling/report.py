"""What an assembly found, as report.json and as the lines that a terminal gets."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from auxreid.assembling.items import Item
from auxreid.assembling.proposals import Proposal
from auxreid.data.layouts.listing import LeftOut
from auxreid.plumbing.base.few import few

NOT_CHECKED = "photographs without a dog are not found, as no --detector is given; reject them in the review"


@dataclass
class Found:
    """All that a report says, collected on the way."""

    settings: dict[str, object]
    key: str = ""  # of the set, see `dog_names.py`
    left_out: list[LeftOut] = field(default_factory=list)
    copies: list[LeftOut] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)  # those that are kept, by their photographs' names
    dogs: dict[str, Proposal] = field(default_factory=dict)
    sequences: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    blurred: list[str] = field(default_factory=list)
    no_dog: list[str] = field(default_factory=list)
    several_dogs: list[str] = field(default_factory=list)
    two_looks: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    decisions: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def reviewed(self) -> list[str]:
        """Dogs of which a person has seen every photograph."""
        return [dog for dog, one in self.dogs.items() if len(one.seen) == len(one.photos)]

    @property
    def single(self) -> list[str]:
        """Photographs that are like no other, and that nobody confirmed."""
        return [dog for dog, one in self.dogs.items() if one.is_single]


def report_of(found: Found) -> dict[str, object]:
    """JSON's values; nothing in it changes from one run to the next unless the set does."""
    return {
        "settings": found.settings,
        "photographs": len(found.items),
        "sequences": len(set(found.sequences.values())),
        "dogs": {
            dog: {
                "photographs": [found.items[photo].name for photo in one.photos],
                "doubt": one.doubt,
                "seen": len(one.seen),
                "split": found.splits[dog],
                **({"may_be_two_dogs": True} if dog in found.two_looks else {}),
            }
            for dog, one in found.dogs.items()
        },
        "blurred": [found.items[photo].name for photo in found.blurred],
        "no_dog": [found.items[photo].name for photo in found.no_dog],
        "several_dogs": [found.items[photo].name for photo in found.several_dogs],
        "rejected": found.rejected,
        "copies": {one.path: one.reason for one in found.copies},
        "left_out": {one.path: one.reason for one in found.left_out},
        "decisions": found.decisions,
        "notes": found.notes,
    }


def summary(found: Found) -> list[str]:
    """A few lines."""
    several = len(found.dogs) - len(found.single)
    splits = Counter(found.splits[dog] for dog, one in found.dogs.items() if not one.is_single)
    lines = [
        f"{len(found.items)} photographs in {len(set(found.sequences.values()))} sequences; left out: "
        f"{len(found.copies)} copies, {len(found.left_out)} that cannot be used, {len(found.rejected)} rejected",
        f"{several} dogs, {len(found.reviewed)} of them reviewed; {len(found.single)} single photographs, which have "
        "no dog until they are confirmed or merged",
        "splits of dogs: " + ", ".join(f"{splits[part]} {part}" for part in sorted(splits)),
    ]
    if found.left_out:
        lines.append("cannot be used: " + few([f"{one.path} ({one.reason})" for one in found.left_out], 3))
    looked = {
        "blurred": found.blurred,
        "without a dog": found.no_dog,
        "with several dogs, to be cropped": found.several_dogs,
        "dogs that may be two": found.two_looks,
    }
    if any(looked.values()):
        lines.append("to look at: " + ", ".join(f"{len(some)} {what}" for what, some in looked.items() if some))
    return lines + found.notes


def notes_of(items: Mapping[str, Item], others: Mapping[str, int], detected: bool) -> list[str]:
    """What a reader of the set has to know."""
    notes = []
    untimed = sum(not item.is_frame and item.look.taken is None for item in items.values())
    if untimed:
        notes.append(
            f"{untimed} photographs have no time (EXIF DateTimeOriginal): they are one sequence only where neighbours "
            "in the order of names are almost the same picture"
        )
    if others:
        named = ", ".join(f"{count} {ending}" for ending, count in others.items())
        notes.append(f"files of other endings are not read: {named}; save photographs as JPEG or PNG")
    return notes if detected else [*notes, NOT_CHECKED]
