"""Pictures of poses: skeletons drawn on images, tiled."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from auxreid.data.captions import fitted, font
from auxreid.data.frames import Frames
from auxreid.plumbing.base.files import finished_file
from auxreid.pose.architecture import PoseSpec
from auxreid.pose.joints import flip_pairs

TILE_HEIGHT = 320
CAPTION_HEIGHT = 22
COLUMNS = 8
LEFT, RIGHT, MIDDLE, TRUTH = (66, 165, 245), (255, 143, 0), (102, 187, 106), (255, 255, 255)  # RGB
SURE = 0.3  # joints below this confidence are drawn hollow


def draw_pose(image: np.ndarray, keypoints: np.ndarray, spec: PoseSpec, truth: np.ndarray | None = None) -> np.ndarray:
    """An RGB image enlarged to a common height, with the skeleton: left blue, right orange, middle green.

    Args:
        image: uint8 [h, w, 3].
        keypoints: [J, 3] x, y in pixels and the confidence; unsure joints are hollow.
        truth: [J, 3] x, y and visibility; labelled joints get a white cross.
    """
    zoom = TILE_HEIGHT / image.shape[0]
    size = (round(image.shape[1] * zoom), TILE_HEIGHT)
    canvas = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    at = np.rint((keypoints[:, :2] + 0.5) * zoom).astype(int)  # the centre of a pixel
    colours = _colours(spec)
    for start, end in spec.skeleton:
        colour = colours[end] if colours[start] == MIDDLE else colours[start]
        cv2.line(canvas, tuple(at[start].tolist()), tuple(at[end].tolist()), colour, 2, cv2.LINE_AA)
    for point, confidence, colour in zip(at.tolist(), keypoints[:, 2].tolist(), colours, strict=True):
        cv2.circle(canvas, tuple(point), 4, colour, -1 if confidence >= SURE else 1, cv2.LINE_AA)
    if truth is not None:
        for x, y, _ in truth[truth[:, 2] > 0]:
            place = (round((x + 0.5) * zoom), round((y + 0.5) * zoom))
            cv2.drawMarker(canvas, place, TRUTH, cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
    return canvas


def write_overlay(
    path: Path,
    frames: Frames,
    keypoints: np.ndarray,
    spec: PoseSpec,
    captions: Sequence[str],
    truth: np.ndarray | None = None,
) -> None:
    """Write a grid of the frames with their poses [n, J, 3] as a PNG file."""
    tiles = []
    for index, caption in enumerate(captions):
        drawn = draw_pose(frames.image(index), keypoints[index], spec, None if truth is None else truth[index])
        tiles.append(_captioned(drawn, caption))
    _, content = cv2.imencode(".png", cv2.cvtColor(_grid(tiles), cv2.COLOR_RGB2BGR))
    with finished_file(path) as unfinished:  # imwrite says nothing of a full disk
        unfinished.write_bytes(content)


def _colours(spec: PoseSpec) -> list[tuple[int, int, int]]:
    colours = [MIDDLE] * len(spec.joints)
    for pair in flip_pairs(spec.joints):
        for number in pair:
            words = spec.joints[number].lower().split("_")
            colours[number] = LEFT if "left" in words or words[0] == "l" else RIGHT
    return colours


def _captioned(tile: np.ndarray, caption: str) -> np.ndarray:
    band = Image.new("RGB", (tile.shape[1], CAPTION_HEIGHT), "white")
    ImageDraw.Draw(band).text((2, 3), fitted(caption, band.width - 4), "black", font())
    return np.concatenate([tile, np.asarray(band)])


def _grid(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Tiles of equal height in rows of COLUMNS, each column as wide as its widest tile."""
    width = max(tile.shape[1] for tile in tiles) + 6
    height = tiles[0].shape[0] + 6
    rows = -(-len(tiles) // COLUMNS)
    canvas = np.full((rows * height, min(len(tiles), COLUMNS) * width, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // COLUMNS * height, number % COLUMNS * width
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return canvas
