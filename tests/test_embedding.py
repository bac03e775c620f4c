"""Photographs of no data set, embedded: as stage `evaluate` embeds the same images from a frames file."""

import io

import numpy as np
import pandas as pd
import pytest
from encoder_files import ENCODER, INPUT, JOINTS, frames_rows, poses, write_encoder, write_idea_encoder, write_photos
from PIL import Image
from small_frames import noise

from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import load_ranked_encoder, save_tower
from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.settings.auxiliary import GatedFusion
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints
from auxreid.search.networks import Files, _open_embedding
from auxreid.serving.embedding import Encoder, embed_images
from auxreid.serving.features import check_needs
from auxreid.serving.onnx_export import export
from auxreid.serving.photos import Photos, image_files, look_at, open_photos
from auxreid.serving.requests import cameras_of, images_of


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Of several sizes and formats; the last one is turned by its EXIF data."""
    folder = tmp_path_factory.mktemp("photos")
    paths = write_photos(folder)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(9, 40, 20)).save(folder / "turned.jpg", exif=exif)
    return [*paths, folder / "turned.jpg"]


@pytest.fixture(scope="module")
def frames(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "frames.arrow"
    write_frames(path, frames_rows(photos), FramesMeta("small", "market1501", "market1501", "person"))
    return open_frames(path)


def test_paths_and_bytes_are_embedded_as_evaluate_does(photos, frames, tmp_path):
    file = write_encoder(tmp_path / "encoder.safetensors")
    expected = embed_for_ranking(*load_ranked_encoder(file), frames, "no pose")
    assert expected.shape == (6, 128 + 8) and expected.dtype == np.float32
    assert np.array_equal(embed_images(file, photos), expected)
    assert np.array_equal(embed_images(file, [path.read_bytes() for path in photos]), expected)
    short = embed_images(file, photos, precision="bf16-mixed")
    assert np.array_equal(short, embed_for_ranking(*load_ranked_encoder(file), frames, "no pose", "bf16-mixed"))
    assert not np.array_equal(short, expected)


@pytest.mark.parametrize("source", ["keypoints", "hrnet"])
def test_a_fused_row_takes_its_pose_beside_the_images(photos, frames, tmp_path, source):
    file, table = write_encoder(tmp_path / "encoder.safetensors", source), tmp_path / "keypoints.parquet"
    points, maps = poses(len(photos))
    write_keypoints(table, JOINTS, [(np.arange(len(photos)), Poses(points, maps))])
    expected = embed_for_ranking(*load_ranked_encoder(file), frames, str(table))
    given = points if source == "keypoints" else maps
    assert np.array_equal(embed_images(file, photos, pose=table), expected)
    assert np.array_equal(embed_images(file, photos, pose=given), expected)
    if source == "keypoints":
        assert np.array_equal(embed_images(file, photos, pose=points[..., :2]), expected)
    wanted = "x, y in pixels of 3 joints" if source == "keypoints" else r"HRNet's pose embedding, \[n, 96\]"
    with pytest.raises(DataError, match=rf"encoder\.safetensors: .*{wanted}.* must be given beside the images"):
        embed_images(file, photos)
    with pytest.raises(DataError, match=r"must be given for 6 images, not \[5, "):
        embed_images(file, photos, pose=given[:5])
    with pytest.raises(DataError, match="not finite"):
        embed_images(file, photos, pose=np.full_like(given, np.nan))


def test_a_row_whose_idea_ranks_takes_its_joints_beside_the_images(photos, frames, tmp_path):
    file, table = write_idea_encoder(tmp_path / "encoder.safetensors"), tmp_path / "keypoints.parquet"
    points, maps = poses(len(photos))
    write_keypoints(table, JOINTS, [(np.arange(len(photos)), Poses(points, maps))])
    expected = embed_for_ranking(*load_ranked_encoder(file), frames, str(table))
    assert np.array_equal(embed_images(file, photos, pose=table), expected)
    assert np.array_equal(embed_images(file, photos, pose=points), expected)
    assert not np.allclose(embed_images(file, photos, pose=points[::-1]), expected)
    wanted = (
        r"auxiliary gated_fusion ranks .*: x, y in pixels and confidence of neck, left_hip, right_hip, \[n, 3, 3\],"
    )
    with pytest.raises(DataError, match=rf"encoder\.safetensors: the row's {wanted} must be given beside the images"):
        embed_images(file, photos)
    with pytest.raises(DataError, match=r"must be given for 6 images, not \[6, 3, 2\]"):
        embed_images(file, photos, pose=points[..., :2])
    write_keypoints(table, ("nose", "neck"), [(np.arange(len(photos)), Poses(points[:, :2], maps[:, :64]))])
    with pytest.raises(DataError, match=r"keypoints.parquet: has the joints nose, neck; trained with neck, l"):
        embed_images(file, photos, pose=table)


def test_an_idea_that_this_version_does_not_know_is_named(tmp_path):
    file = write_idea_encoder(tmp_path / "encoder.safetensors")
    file.write_bytes(file.read_bytes().replace(b"gated_fusion", b"later_fusion"))  # of equal length
    with pytest.raises(DataError, match=r"encoder\.safetensors: its header: auxiliary\.config = .*'later_fusion'"):
        Encoder(file)


@pytest.mark.parametrize("needy", [True, False])
def test_no_command_export_or_search_takes_an_idea_that_ranks(tmp_path, monkeypatch, needy):
    """Neither one that needs a pose, nor another one."""
    file = write_idea_encoder(tmp_path / "encoder.safetensors")
    monkeypatch.setattr(GatedFusion, "ranks_pose", property(lambda self: needy))
    encoder, out = Encoder(file), tmp_path / "encoder.onnx"
    with pytest.raises(
        DataError, match=r"encoder\.safetensors: the row's auxiliary gated_fusion ranks with the encoder"
    ):
        export(encoder, out, {})
    assert not out.exists()
    if needy:
        with pytest.raises(
            DataError, match=r"gated_fusion ranks the image with its keypoints: .* must be given: name the HRNet"
        ):
            check_needs(encoder, None)
    else:
        check_needs(encoder, None)
    files = Files(embedding=file, backbone=None, attributes=file, is_metric=False)
    told = (
        "ranks images with a pose, and a photograph brings none" if needy else "auxiliary gated_fusion ranks with the"
    )
    with pytest.raises(ConfigError, match=rf"encoder\.safetensors: the row.* {told}"):
        _open_embedding(files)


def test_a_row_that_ranks_the_image_needs_no_pose(photos, frames, tmp_path):
    file = write_encoder(tmp_path / "encoder.safetensors", "keypoints", rank="image")
    assert np.array_equal(embed_images(file, photos), embed_for_ranking(*load_ranked_encoder(file), frames, ""))


def test_cameras_are_asked_for_by_an_encoder_that_knows_some(photos, tmp_path):
    encoder = Encoder(write_encoder(tmp_path / "encoder.safetensors"))
    encoder.tower.cameras = (1, 4)
    with pytest.raises(DataError, match=r"camera of each image must be given beside it: .* of cameras 1, 4"):
        encoder.embed(open_photos(photos))
    with pytest.raises(
        DataError, match=r"the photographs: 1 frames .* camera 7 of .*0\.png; it was trained on \(1, 4\)"
    ):
        encoder.embed(open_photos(photos, [7, 1, 4, 1, 1, 1]))
    with pytest.raises(DataError, match="2 cameras for 6 photographs"):
        open_photos(photos, [1, 4])


@pytest.mark.parametrize("bad", [1.5, 0, -1, True, "1", None, float("nan"), float("inf"), 2**31])
def test_a_camera_in_a_served_model_s_table_is_a_whole_number(photos, bad):
    asked = pd.DataFrame({"image": [str(photo) for photo in photos], "camera": [1, 4, bad, 1, 1, 1]})
    with pytest.raises(DataError, match=r"cameras: .* is none; whole numbers from 1 on are needed"):
        open_photos(images_of(asked), cameras_of(asked))


def test_whole_numbers_of_a_table_are_cameras_however_it_holds_them(photos):
    for cameras in ([1, 4, 2, 1, 1, 7], [1.0, 4.0, 2.0, 1.0, 1.0, 7.0], np.array([1, 4, 2, 1, 1, 7], np.int64)):
        asked = pd.DataFrame({"image": [str(photo) for photo in photos], "camera": cameras})
        assert open_photos(images_of(asked), cameras_of(asked)).camera.tolist() == [1, 4, 2, 1, 1, 7]
    assert cameras_of(asked[["image"]]) is None and cameras_of([str(photos[0])]) is None


def test_what_cannot_be_used_is_named_with_the_reason(photos, tmp_path):
    whole = io.BytesIO()
    Image.fromarray(noise(1, 64, 64)).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[:900])
    (tmp_path / "empty.jpg").touch()
    bad = [tmp_path / "cut.jpg", tmp_path / "empty.jpg", tmp_path / "gone.jpg", b"text", tmp_path]
    found, left_out = look_at([photos[0], *bad, photos[1].read_bytes()])
    assert [one is None for one in found] == [False, *[True] * 5, False]
    reasons = {one.path.removeprefix(f"{tmp_path}/"): one.reason for one in left_out}
    assert reasons.pop("cut.jpg").startswith("does not decode: image file is truncated")
    assert reasons == {
        "empty.jpg": "zero bytes",
        "gone.jpg": "cannot be read: No such file or directory",
        "image 4": "does not decode: not in any image format that is known",
        str(tmp_path): "cannot be read: Is a directory",
    }
    with pytest.raises(DataError, match=r"^1 of 2 images cannot be used: image 1 \(does not decode: not in any"):
        open_photos([photos[0], b"text"])
    with pytest.raises(DataError, match="no images were given"):
        open_photos([])


def test_a_photograph_that_vanishes_later_is_named(tmp_path):
    (path,) = write_photos(tmp_path, [(8, 8)])
    photos = open_photos([path])
    path.write_bytes(b"text")
    with pytest.raises(DataError, match=r"0\.png: no image any more"):
        photos.image(0)
    path.unlink()
    with pytest.raises(DataError, match=r"0\.png: cannot be read: No such file"):
        photos.image(0)


def test_images_of_folders_come_sorted_and_without_what_systems_leave(tmp_path):
    for name in ("b.PNG", "a.jpg", "deep/c.webp", "._a.jpg", "__MACOSX/a.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    wanted = [tmp_path / name for name in ("a.jpg", "b.PNG", "deep/c.webp")]
    assert image_files([tmp_path]) == wanted
    assert image_files([tmp_path / "notes.txt", tmp_path / "deep"]) == [tmp_path / "notes.txt", wanted[-1]]
    with pytest.raises(DataError, match=r"empty: no images in this folder \(endings read: \.bmp, "):
        image_files([tmp_path / "empty"])
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        image_files([tmp_path / "nowhere"])


def test_what_is_no_image_encoder_is_refused(photos, tmp_path):
    _, text = build_towers(ENCODER, (INPUT.height, INPUT.width))
    save_tower(text, tmp_path / "text.safetensors", ENCODER, INPUT)
    with pytest.raises(DataError, match=r"text\.safetensors: its tensors are not those of an image encoder"):
        Encoder(tmp_path / "text.safetensors")
    with pytest.raises(DataError, match="no such file"):
        Encoder(tmp_path / "none.safetensors")


def test_sizes_are_those_of_the_upright_images(photos):
    assert open_photos(photos).size.tolist() == [[16, 32], [40, 20], [9, 50], [64, 64], [16, 32], [20, 40]]
    assert Photos([]).size.shape == (0, 2)
