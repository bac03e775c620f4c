"""Features measured from the means of their cameras: by hand, by what a mean takes away, and through descriptors."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from encoder_files import write_encoder
from hypothesis import given
from hypothesis import strategies as st
from small_frames import small_frames

from auxreid.clip.checkpoints import load_ranked_encoder
from auxreid.clipreid.described import fitting_descriptors
from auxreid.clipreid.fused_embedding import embed_and_observe, embed_for_ranking
from auxreid.descriptors.centring import PRIOR_IMAGES, cameras_of, centred
from auxreid.descriptors.file import write_descriptors
from auxreid.descriptors.fit import fit_descriptors
from auxreid.descriptors.pools import observing, pools_of
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.search.described import Described
from auxreid.serving.embedding import Encoder
from auxreid.serving.features import embedded
from auxreid.serving.photos import open_photos

CLASSES = np.repeat(np.arange(6), 4)
CAMERAS = np.tile([1, 2, 2, 5], 6)


def test_the_mean_of_a_camera_by_hand():
    values, usual = torch.tensor([[1.0, 0.0], [3.0, 0.0], [44.0, 21.0]]), torch.tensor([-0.1, -1.05])
    found = centred(values, usual, np.array([7, 7, 3]))
    assert PRIOR_IMAGES == 20
    # all three: (48 - 20 * 0.1) / 23 = 2, (21 - 20 * 1.05) / 23 = 0
    # camera 7: (1 + 3 + 20 * 2) / 22 = 2, 0; camera 3: (44 + 20 * 2) / 21 = 4, 21 / 21 = 1
    torch.testing.assert_close(found, torch.tensor([[-1.0, 0.0], [1.0, 0.0], [40.0, 20.0]]))
    torch.testing.assert_close(centred(values, torch.ones(2), None), values - 1)


SEEDS, COUNTS = st.integers(0, 2**31), st.integers(2, 40)


@given(SEEDS, COUNTS)
def test_what_moves_all_images_of_a_camera_is_taken_away_but_for_the_prior(seed, count):
    draw = np.random.default_rng(seed)
    values, usual = torch.from_numpy(draw.normal(size=(count, 3))).float(), torch.zeros(3)
    cameras = draw.integers(1, 4, count)
    moved = values.clone()
    moved[torch.from_numpy(cameras == 2)] += 5.0
    left = centred(moved, usual, cameras) - centred(values, usual, cameras)
    own = np.array([np.sum(cameras == camera) for camera in cameras])
    drawn = PRIOR_IMAGES * 5.0 * np.sum(cameras == 2) / (count + PRIOR_IMAGES)  # by the mean of all
    expected = np.where(cameras == 2, 5.0 * PRIOR_IMAGES, 0.0) - drawn
    np.testing.assert_allclose(left.numpy(), (expected / (own + PRIOR_IMAGES))[:, None].repeat(3, 1), atol=1e-5)


@given(SEEDS, st.integers(200, 400))
def test_what_moves_all_images_moves_none_apart_however_many_are_of_a_camera(seed, count):
    draw = np.random.default_rng(seed)
    values, usual = torch.from_numpy(draw.normal(size=(count, 3))).float(), torch.zeros(3)
    cameras = np.where(np.arange(count) < 2, 1, 2)  # two images of camera 1
    left = centred(values + 5.0, usual, cameras) - centred(values, usual, cameras)
    assert left.abs().max() <= 5.0 * PRIOR_IMAGES / (count + PRIOR_IMAGES) + 1e-4


def test_an_image_alone_looks_the_way_it_does_from_the_training_images():
    values, usual = torch.tensor([[3.0, 1.0]]), torch.tensor([1.0, 2.0])
    alone, plain = centred(values, usual, np.array([4])), centred(values, usual, None)
    torch.testing.assert_close(alone / alone.norm(), plain / plain.norm())


class Cameras:
    """Frames of which the cameras alone are known."""

    meta = SimpleNamespace(dataset="people")

    def __init__(self, camera):
        self.camera, self.path = np.asarray(camera), [f"{number}.png" for number in range(len(camera))]

    def __len__(self):
        return len(self.camera)


def test_the_control_gives_each_image_anothers_camera_and_every_camera_as_many():
    frames = Cameras(range(1, 31))
    found = cameras_of(frames, "other_cameras", 3)
    assert (found != frames.camera).all() and sorted(found) == sorted(frames.camera)
    assert (cameras_of(frames, "cameras", 3) == frames.camera).all()
    assert cameras_of(frames, "mean", 3) is None


@pytest.mark.parametrize("centre", ["cameras", "other_cameras"])
def test_an_image_without_a_camera_is_named(centre):
    with pytest.raises(DataError, match=r"people: 2 images have no camera \(e\.g\. 1\.png\), and the row"):
        cameras_of(Cameras([3, 0, 1, 0]), centre, 0)
    assert cameras_of(Cameras([0, 0]), "mean", 0) is None


# through descriptors


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """An encoder's file, and frames of three cameras."""
    folder = tmp_path_factory.mktemp("centring")
    frames = small_frames(folder / "frames.arrow", (CLASSES + 1).tolist(), cameras=CAMERAS.tolist())
    return write_encoder(folder / "encoder.safetensors"), frames


def fitted(study, **rank):
    encoder, beside = load_ranked_encoder(study[0])
    rank = {"pools": "global", "maps": (), "whiten_global": False, "mirror": False} | rank
    found = fit_descriptors(RankConfig(**rank), encoder, beside, study[1], CLASSES, None, "32-true", 0)
    return found, found.embed(encoder, beside, study[1], None)


def plain(study) -> np.ndarray:
    return embed_for_ranking(*load_ranked_encoder(study[0]), study[1], None)


def slowly_centred(values: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Image by image, from the formula; values are those that the usual mean is of."""
    usual, found = values.mean(axis=0), np.zeros_like(values)  # which is the mean of all that are ranked, too
    for image, camera in enumerate(cameras):
        own = values[cameras == camera]
        found[image] = values[image] - (own.sum(axis=0) + 20 * usual) / (len(own) + 20)
    return found


def test_descriptors_rank_what_is_left_of_the_feature(study):
    values = plain(study)
    for centre, cameras in {
        "cameras": CAMERAS,
        "other_cameras": cameras_of(study[1], "other_cameras", 0),
        "mean": np.ones(24),
    }.items():
        left = slowly_centred(values, cameras)
        _, embedding = fitted(study, centre=centre)
        expected = left / np.linalg.norm(left, axis=1, keepdims=True)
        np.testing.assert_allclose(embedding / np.linalg.norm(embedding, axis=1, keepdims=True), expected, atol=5e-4)


def test_every_part_is_centred_before_it_is_whitened(study):
    maps = {"pools": "stripes", "maps": ("middle", "late"), "count": 2, "whiten_global": True}
    found, embedding = fitted(study, **maps, centre="cameras")
    parts, start = parts_of(study, found.header.rank), 0
    assert list(parts) == ["global", "middle", "late"]
    for name, values in parts.items():
        whitened = slowly_centred(values, CAMERAS) @ found.tensors[f"{name}.whitening"].numpy()
        expected = whitened / np.linalg.norm(whitened, axis=1, keepdims=True) * found.tensors[f"{name}.scale"].numpy()
        part = embedding[:, start : start + values.shape[1]]
        np.testing.assert_allclose(part, expected, rtol=1e-2, atol=1e-3 * float(found.tensors[f"{name}.scale"]))
        start += values.shape[1]
    assert start == embedding.shape[1]


def parts_of(study, rank: RankConfig) -> dict[str, np.ndarray]:
    """The global feature and the stripes of each map, as the encoder makes them."""
    (encoder, beside), frames = load_ranked_encoder(study[0]), study[1]
    pools = pools_of(rank, encoder, frames, None, 0)
    whole, maps = embed_and_observe(encoder, beside, frames, None, "32-true", observing(pools, rank.maps), rank.maps)
    return {"global": whole.numpy()} | {name: one.numpy() for name, one in zip(rank.maps, maps, strict=True)}


def test_one_image_looks_the_way_it_does_from_the_training_images(study):
    found, _ = fitted(study, centre="cameras")
    encoder, beside = load_ranked_encoder(study[0])
    one = found.embed(encoder, beside, study[1].take([5]), None)[0]
    expected = plain(study)[5] - plain(study).mean(axis=0)
    np.testing.assert_allclose(one / np.linalg.norm(one), expected / np.linalg.norm(expected), atol=5e-4)


def as_files(study, folder) -> tuple[Encoder, list, np.ndarray]:
    """What embeds photographs by cameras, the frames as photographs, and what the descriptors make of the frames."""
    found, embedding = fitted(study, centre="cameras")
    write_descriptors(folder / "descriptors.safetensors", found)
    files = [folder / f"{number:02d}.png" for number in range(24)]
    for number, file in enumerate(files):
        file.write_bytes(bytes(study[1].image_bytes(number)))
    return Encoder(study[0], descriptors=folder / "descriptors.safetensors"), files, embedding


def test_photographs_of_known_cameras_are_embedded_alike(study, tmp_path):
    encoder, files, embedding = as_files(study, tmp_path)
    told = r"encoder\.safetensors: the camera of each image must be given beside it: its descriptors measure images"
    with pytest.raises(DataError, match=told):
        encoder.embed(open_photos(files))
    np.testing.assert_allclose(encoder.embed(open_photos(files, CAMERAS)), embedding, atol=1e-5)
    photos = list(open_photos(files))
    with pytest.raises(DataError, match=r"name the camera by --camera: its descriptors measure images"):
        embedded(encoder, photos)
    assert embedded(encoder, photos, 3).shape == embedding.shape


def test_the_features_of_many_photographs_are_those_of_one_mean(study, tmp_path, monkeypatch):
    encoder, files, _ = as_files(study, tmp_path)
    photos = list(open_photos(files))
    at_once = embedded(encoder, photos, 3)
    monkeypatch.setattr("auxreid.serving.features.AT_ONCE", 5)
    np.testing.assert_array_equal(embedded(encoder, photos, 3), at_once)


def test_the_control_serves_no_photographs(study, tmp_path):
    found, _ = fitted(study, centre="other_cameras")
    write_descriptors(tmp_path / "descriptors.safetensors", found)
    with pytest.raises(DataError, match=r"a control, with the cameras of other images of a data set; a photograph has"):
        fitting_descriptors(tmp_path / "descriptors.safetensors", load_ranked_encoder(study[0])[0])


@pytest.mark.parametrize("number", [0, -1, 2**31, 1.5, float("nan"), "a", None])
def test_a_camera_that_is_none_is_told(study, tmp_path, number):
    encoder, files, _ = as_files(study, tmp_path)
    with pytest.raises(DataError, match=r"cameras: .* is none; whole numbers from 1 on are needed, one for each"):
        encoder.embed(open_photos(files[:2], [1, number]))


def test_a_search_takes_no_descriptors_with_cameras(study, tmp_path):
    as_files(study, tmp_path)
    tower, beside = load_ranked_encoder(study[0])
    with pytest.raises(ConfigError, match=r"descriptors\.safetensors: ranks images by their cameras, and a photograph"):
        Described(tower, beside, tmp_path / "descriptors.safetensors", None)
