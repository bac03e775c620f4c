"""Photographs embedded as stage `evaluate` embeds a data set's frames, by the encoder of a row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import ValidationError

from auxreid.clip.checkpoints import AuxiliaryHeader, FusionHeader, load_ranked_encoder
from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.section import fault_lines
from auxreid.pose.predict import GRID, Poses
from auxreid.pose.table import write_keypoints
from auxreid.serving.photos import Image, Photos, open_photos
from auxreid.training.precision import FULL

Pose = str | Path | np.ndarray
CELLS = GRID[0] * GRID[1]  # of a joint's pooled heat map
NO_POSE = "no pose"  # the place of a table that is not read


class Encoder:
    """An encoder's file, read once.

    Args:
        path: results/finetune/<key>/encoder.safetensors, or any file of that kind.
        precision: the recipe's, which the file does not tell.

    Raises:
        DataError: the file is missing or no encoder of this project, or names what this version does not know.
    """

    def __init__(self, path: str | Path, precision: str = FULL):
        self.path, self.precision = Path(path), precision
        try:
            self.tower, self._beside = load_ranked_encoder(self.path)
        except RuntimeError:  # of another structure than its header says, as a text tower's file is
            raise DataError(f"{path}: its tensors are not those of an image encoder") from None
        except ValidationError as error:  # as of a kind of `auxiliary` that a later version has
            raise DataError(next(fault_lines(error, f"{path}: its header"))) from None

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
    def needs_pose(self) -> bool:
        """Whether a pose must be given beside the images."""
        return self.fusion is not None or (self.idea is not None and self.idea.config.ranks_pose)

    @property
    def cameras(self) -> tuple[int, ...]:
        """The cameras whose numbers it must be told; empty where it needs none."""
        return tuple(getattr(self.tower, "cameras", ()))

    def embed(self, photos: Photos, pose: Pose | None = None) -> np.ndarray:
        """Embeddings float32 [n, d], L2-normalised, as they are ranked.

        Args:
            pose: for an encoder that `needs_pose` alone: a keypoint table whose frame_id are the positions of the
                photographs, or an array. That is [n, J, 2] or [n, J, 3] of x, y in pixels of the upright image for
                source keypoints, and the pose embedding [n, J * 32] for source hrnet; for an `idea` [n, J, 3] of
                x, y and confidence.

        Raises:
            DataError: a pose or cameras are needed and missing, or do not fit.
        """
        if self.cameras and not photos.has_cameras:
            raise DataError(
                f"{self.path}: the encoder has a camera embedding: the camera of each image must be given beside it, "
                f"one of {', '.join(map(str, self.cameras))}"
            )
        with self._pose_file(len(photos), pose) as table:
            return embed_for_ranking(self.tower, self._beside, photos, table, self.precision)

    @contextmanager
    def _pose_file(self, count: int, pose: Pose | None) -> Iterator[str]:
        """The pose as the file that `evaluate` reads."""
        if not self.needs_pose:
            yield NO_POSE
        elif pose is None:
            raise DataError(f"{self.path}: {self.wanted()} must be given beside the images")
        elif isinstance(pose, str | Path):
            yield str(pose)
        else:
            with TemporaryDirectory() as folder:
                table = Path(folder, "the pose beside the images")
                write_keypoints(table, self._joints(), [(np.arange(count), self._poses(count, np.asarray(pose)))])
                yield str(table)

    def _joints(self) -> list[str]:
        """Those that the encoder was trained with; a fusion tells their number alone."""
        if self.idea is not None:
            return self.idea.facts["joints"]
        return [f"joint {number}" for number in range(self.fusion.joints)]

    def wanted(self) -> str:
        """The pose that an encoder needs, in words."""
        if self.idea is not None:
            joints, kind = self._joints(), self.idea.config.kind
            return (
                f"the row's auxiliary {kind} ranks the image with its keypoints: x, y in pixels and confidence of "
                f"{', '.join(joints)}, [n, {len(joints)}, 3],"
            )
        joints, source = self.fusion.joints, self.fusion.pose.source
        if source == "keypoints":
            return f"the row ranks the image with its keypoints: x, y in pixels of {joints} joints, [n, {joints}, 2],"
        return f"the row ranks the image with HRNet's pose embedding, [n, {joints * CELLS}],"

    def _poses(self, count: int, pose: np.ndarray) -> Poses:
        joints = len(self._joints())
        keypoints = np.zeros((count, joints, 3), np.float32)
        embedding = np.zeros((count, joints * CELLS), np.float32)
        if self.idea is not None:
            shapes, filled = ((count, joints, 3),), keypoints
        elif self.fusion.pose.source == "keypoints":
            shapes, filled = ((count, joints, 2), (count, joints, 3)), keypoints[..., : pose.shape[-1]]
        else:
            shapes, filled = ((count, joints * CELLS),), embedding
        if pose.shape not in shapes or not np.isfinite(pose).all():
            found = f"{list(pose.shape)}{'' if np.isfinite(pose).all() else ' with values that are not finite'}"
            raise DataError(f"{self.path}: {self.wanted()} must be given for {count} images, not {found}")
        filled[...] = pose
        return Poses(keypoints, embedding)


def embed_images(
    encoder: str | Path,
    images: Sequence[Image],
    *,
    pose: Pose | None = None,
    cameras: Sequence[int] | None = None,
    precision: str = FULL,
) -> np.ndarray:
    """Embeddings float32 [n, d] of images, as stage `evaluate` makes them with this encoder's file.

    Args:
        images: paths, or the bytes of image files.
        pose: for rows that rank a pose, see :meth:`Encoder.embed`.
        cameras: for rows with a camera embedding, the camera's number of each image.
        precision: the recipe's.

    Raises:
        DataError: no encoder, an image that cannot be used (with its name and why), or a pose or cameras that are
            needed and missing.
    """
    return Encoder(encoder, precision).embed(open_photos(images, cameras), pose)
