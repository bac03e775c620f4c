"""Photographs embedded as stage `evaluate` embeds a data set's frames, by the encoder of a row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import ValidationError

from auxreid.clip.checkpoints import AuxiliaryHeader, FusionHeader, load_ranked_encoder
from auxreid.clipreid.described import embed_row, fitting_descriptors
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.section import fault_lines
from auxreid.pose.finder import JointFinder
from auxreid.pose.table import write_keypoints
from auxreid.serving.photos import Image, Photos, open_photos
from auxreid.serving.taken_pose import taken_pose
from auxreid.training.precision import FULL

Pose = str | Path | np.ndarray
NO_POSE = "no pose"  # the place of a table that is not read


class Encoder:
    """An encoder's file, read once, and what its embeddings are made with beside it.

    Args:
        path: results/finetune/<key>/encoder.safetensors, or any file of that kind.
        precision: the recipe's, which the file does not tell.
        descriptors: results/descriptors/<key>/descriptors.safetensors, for the embeddings of a row with `rank`.
        hrnet: results/pose/<data set>/hrnet.safetensors, to find the pose where one is taken and not given.
        attributes: results/attributes/<data set>/model.safetensors, where descriptors take what it predicts.

    Raises:
        DataError: a file is missing or not of its kind, or names what this version does not know; or the files do not
            fit each other.
    """

    def __init__(
        self,
        path: str | Path,
        precision: str = FULL,
        descriptors: str | Path | None = None,
        hrnet: str | Path | None = None,
        attributes: str | Path | None = None,
    ):
        self.path, self.precision = Path(path), precision
        self._attributes = None if attributes is None else Path(attributes)
        try:
            self.tower, self._beside = load_ranked_encoder(self.path)
        except RuntimeError:  # of another structure than its header says, as a text tower's file is
            raise DataError(f"{path}: its tensors are not those of an image encoder") from None
        except ValidationError as error:  # as of a kind of `auxiliary` that a later version has
            raise DataError(next(fault_lines(error, f"{path}: its header"))) from None
        if descriptors is None and attributes is not None:
            raise DataError(f"{attributes}: goes with descriptors that take attributes, and none are given")
        self.descriptors = None
        if descriptors is not None:
            self.descriptors = fitting_descriptors(descriptors, self.tower, self._attributes)
        self.pose = taken_pose(None if self._beside is None else self._beside[0], self.descriptors)
        self._finder = None if hrnet is None else self._fitting_finder(Path(hrnet))

    def _fitting_finder(self, hrnet: Path) -> JointFinder:
        finder = JointFinder(hrnet)
        if self.pose is None:
            raise DataError(f"{hrnet}: nothing takes joints, neither {self.path} nor descriptors; leave it out")
        if self.descriptors is not None:
            self.descriptors.header.check_joints(finder.spec.joints, hrnet)
        return finder

    @property
    def fusion(self) -> FusionHeader | None:
        """What is known of the pose that is ranked with the image; None where no fusion is."""
        header = None if self._beside is None else self._beside[0]
        return header if isinstance(header, FusionHeader) and header.pose.rank == "fused" else None

    @property
    def fusion_tensors(self) -> dict:
        """The weights of the fusion; empty where there is none."""
        return {} if self.fusion is None else self._beside[1]

    @property
    def idea(self) -> AuxiliaryHeader | None:
        """The row's `auxiliary`, where that takes part when images are ranked."""
        header = None if self._beside is None else self._beside[0]
        return header if isinstance(header, AuxiliaryHeader) else None

    @property
    def cameras(self) -> tuple[int, ...]:
        """The cameras that its embedding is of; empty where it has none."""
        return tuple(getattr(self.tower, "cameras", ()))

    @property
    def ranks_cameras(self) -> bool:
        """Whether descriptors measure each image from the mean of those of its camera that are embedded together."""
        return self.descriptors is not None and self.descriptors.header.rank.ranks_cameras

    @property
    def wanted_camera(self) -> str | None:
        """Why the camera of each image must be given beside it, and which may be; None where none is needed."""
        if self.cameras:
            return f"the encoder has a camera embedding, of cameras {', '.join(map(str, self.cameras))}"
        if self.ranks_cameras:
            return "its descriptors measure images from the mean of their camera's; any number from 1 on"
        return None

    @property
    def lacks_pose(self) -> bool:
        """Whether a pose must be given beside the images."""
        return self.pose is not None and self._finder is None

    def wanted(self) -> str:
        """The pose that is taken, in words."""
        return self.pose.words

    def embed(self, photos: Photos, pose: Pose | None = None) -> np.ndarray:
        """Embeddings float32 [n, d], as they are ranked; L2-normalised without descriptors.

        Args:
            pose: where one is taken, in the place of what the HRNet finds: a keypoint table whose frame_id are the
                positions of the photographs, or an array. That is [n, J, 2] or [n, J, 3] of x, y in pixels of the
                upright image for a fusion of source keypoints, the pose embedding [n, J * 32] for source hrnet, and
                [n, J, 3] of x, y and confidence for an `idea` and for descriptors.

        Raises:
            DataError: a pose or cameras are needed and missing, or do not fit.
        """
        if not photos.has_cameras and (why := self.wanted_camera) is not None:
            raise DataError(f"{self.path}: the camera of each image must be given beside it: {why}")
        with self._pose_file(photos, pose) as table:
            known = self._beside, self.descriptors, photos, table, self.precision, self._attributes
            return embed_row(self.tower, *known)

    @contextmanager
    def _pose_file(self, photos: Photos, pose: Pose | None) -> Iterator[str | Path]:
        """The pose as the file that `evaluate` reads."""
        if self.pose is None:
            yield NO_POSE
        elif pose is None and self._finder is not None:
            with self._finder.table(photos) as table:
                yield table
        elif pose is None:
            raise DataError(f"{self.path}: {self.wanted()} must be given beside the images")
        elif isinstance(pose, str | Path):
            yield str(pose)
        else:
            try:
                poses = self.pose.poses(len(photos), np.asarray(pose))
            except DataError as error:
                raise DataError(f"{self.path}: {error}") from None
            with TemporaryDirectory() as folder:
                table = Path(folder, "the pose beside the images")
                write_keypoints(table, self.pose.joints, [(np.arange(len(photos)), poses)])
                yield table


def embed_images(
    encoder: str | Path,
    images: Sequence[Image],
    *,
    pose: Pose | None = None,
    cameras: Sequence[int] | None = None,
    precision: str = FULL,
    descriptors: str | Path | None = None,
    hrnet: str | Path | None = None,
    attributes: str | Path | None = None,
) -> np.ndarray:
    """Embeddings float32 [n, d] of images, as stage `evaluate` makes them with this encoder's file.

    Args:
        images: paths, or the bytes of image files.
        pose: for rows that rank a pose, and descriptors at joints, see :meth:`Encoder.embed`.
        cameras: for rows that take them, the camera's number of each image.
        precision: the recipe's.
        descriptors, hrnet, attributes: files, see :class:`Encoder`.

    Raises:
        DataError: no encoder, an image that cannot be used (with its name and why), files that do not fit each other,
            or a pose or cameras that are needed and missing.
    """
    return Encoder(encoder, precision, descriptors, hrnet, attributes).embed(open_photos(images, cameras), pose)
