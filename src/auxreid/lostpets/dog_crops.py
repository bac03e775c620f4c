"""A crop for each photograph whose asker has made none: the likeliest dog on it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from auxreid.lostpets.query import Crop
from auxreid.serving.dog_boxes import DogBoxes, crop_to
from auxreid.serving.photos import open_photos

FindDogs = Callable[[Sequence[bytes], Sequence[Crop | None]], list[Crop | None]]


def no_crops(photos: Sequence[bytes], crops: Sequence[Crop | None]) -> list[Crop | None]:
    """Without a detector: what the asker has cropped, and else the whole photographs."""
    return list(crops) or [None] * len(photos)


def dog_crops(weights: Path) -> FindDogs:
    """With a detector's weights, for several threads; a crop that the asker has made stays.

    Raises:
        ConfigError: the file is not there, or not of the detector.
    """
    detector, one_at_a_time = DogBoxes(weights), Lock()
    detector.check()

    def find(photos: Sequence[bytes], crops: Sequence[Crop | None]) -> list[Crop | None]:
        made = no_crops(photos, crops)
        whole = [place for place, crop in enumerate(made) if crop is None]
        if whole:
            images = open_photos([photos[place] for place in whole])
            with one_at_a_time:
                found = detector.find(images.image, len(whole))
            for place, (boxes, scores) in zip(whole, found, strict=True):
                made[place] = crop_to(boxes, scores)
        return made

    return find
