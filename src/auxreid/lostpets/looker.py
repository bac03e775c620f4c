"""Photographs of a query as the networks see them: checked, upright, cropped, looked at once each."""

from collections.abc import Mapping, Sequence

import numpy as np

from auxreid.lostpets.query import Crop
from auxreid.plumbing.base.errors import DataError
from auxreid.search.descriptions import Read
from auxreid.search.fusion import Fusion
from auxreid.search.looks import Looks
from auxreid.search.networks import Files, Networks
from auxreid.search.text_reader import TextReader
from auxreid.serving.photos import Photos, open_photos


class Looker:
    """Networks that look at photographs. `model` is their hash, which a base of embeddings names.

    Raises:
        ConfigError, DataError: as Networks.
    """

    def __init__(self, files: Files):
        self.networks, self.model = Networks(files), files.hash()

    @property
    def vocabulary(self) -> Mapping[str, Sequence[str]]:
        """The words of each attribute, in the order of its probabilities."""
        return self.networks.vocabulary

    def look(self, photos: Sequence[bytes], crops: Sequence[Crop | None] = ()) -> Looks:
        """What is seen in each of the photographs, in their order.

        Args:
            photos: the files' bytes; at least one.
            crops: of each photograph, None: the whole of it; empty: all whole.

        Raises:
            DataError: a photograph cannot be used, a crop lies outside of it, or crops are not one to each.
        """
        return self.networks.look(Upright(open_photos(list(photos)), crops or (None,) * len(photos)))


def reader_of(files: Files, fusion: Fusion) -> Read | None:
    """What reads descriptions for a fusion that compares them with photographs; None for one that does not.

    Raises:
        DataError: the text tower is missing or broken.
    """
    return None if fusion.text is None else TextReader(files.text, files.precision)


class Upright:
    """Decoded photographs, cropped; read as networks read frames."""

    def __init__(self, photos: Photos, crops: Sequence[Crop | None]):
        if len(crops) != len(photos):
            raise DataError(f"{len(crops)} crops for {len(photos)} photographs; one each is needed, or none at all")
        self.images = [cropped(photos.image(place), crop, place) for place, crop in enumerate(crops)]

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> np.ndarray:
        """uint8 RGB [h, w, 3]"""
        return self.images[index]


def cropped(image: np.ndarray, crop: Crop | None, place: int = 0) -> np.ndarray:
    """The part of an upright image that a crop says; at least a pixel of it.

    Raises:
        DataError: the crop is no rectangle within the photograph; names the photograph by its place.
    """
    if crop is None:
        return image
    left, top, width, height = map(float, crop)
    inside = 0 <= left < 1 and 0 <= top < 1 and 0 < width <= 1 and 0 < height <= 1
    if not inside or left + width > 1.001 or top + height > 1.001:
        raise DataError(
            f"photograph {place}: crop {list(crop)}: left, top, width and height must be shares of the photograph, "
            "from 0 to 1, and lie within it"
        )
    high, wide = image.shape[:2]
    rows = slice(int(top * high), max(int(top * high) + 1, round((top + height) * high)))
    columns = slice(int(left * wide), max(int(left * wide) + 1, round((left + width) * wide)))
    return np.ascontiguousarray(image[rows, columns])
