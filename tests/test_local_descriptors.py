"""Local descriptors at ranking: whitening, pools, and an embedding whose distances are a weighted sum."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from encoder_files import JOINTS, write_encoder
from small_frames import small_frames

from auxreid.clip.checkpoints import load_ranked_encoder
from auxreid.clip.embed import encode_frames
from auxreid.clip.maps import captured
from auxreid.descriptors.fit import fit_descriptors
from auxreid.descriptors.held_out import apart, held_out_score
from auxreid.descriptors.whitening import choose_shrinkage, whitening, within_spread
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints


def covariance_of(spread) -> torch.Tensor:
    return spread.directions * spread.variances @ spread.directions.T


def test_the_covariance_within_identities_by_hand():
    features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 3.0], [9.0, 9.0]])
    spread = within_spread(features, np.array([0, 0, 1, 1, 2]))
    # deviations (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0); five images less three means
    torch.testing.assert_close(covariance_of(spread), torch.eye(2, dtype=torch.float64))
    assert spread.even == pytest.approx(1)


def test_identities_of_one_image_each_cannot_tell_what_varies_within():
    with pytest.raises(DataError, match="needs an identity with two images or more"):
        within_spread(torch.randn(3, 2), np.array([0, 1, 2]))


@pytest.mark.parametrize("shrinkage", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("width", [4, 20])  # fewer dimensions than images, and more
def test_whitening_inverts_the_shrunk_covariance(shrinkage, width):
    classes = np.repeat(np.arange(4), 3)
    features = torch.randn(12, width, generator=torch.Generator().manual_seed(0))
    left = features.double() - torch.stack([features.double()[classes == one].mean(0) for one in classes])
    covariance = left.T @ left / (12 - 4)
    spread = within_spread(features, classes)
    torch.testing.assert_close(covariance_of(spread), covariance)
    even = covariance.trace() / width * torch.eye(width, dtype=torch.float64)
    matrix = whitening(spread, shrinkage).double()
    inverse = torch.linalg.inv((1 - shrinkage) * covariance + shrinkage * even)
    torch.testing.assert_close(matrix @ matrix, inverse, rtol=1e-4, atol=1e-4)


def test_a_direction_that_never_varies_stays_finite():
    same = torch.ones(4, 2)
    assert torch.isfinite(whitening(within_spread(same, np.array([0, 0, 1, 1])), 0.0)).all()
    flat = torch.tensor([[1.0, 0.0], [2.0, 0.0], [5.0, 0.0], [6.0, 0.0]])
    assert torch.isfinite(whitening(within_spread(flat, np.array([0, 0, 1, 1])), 0.0)).all()


class Made(SimpleNamespace):
    """What is asked of frames."""

    def __len__(self):
        return len(self.camera)


def made(classes, camera=None, sequence=None) -> Made:
    count = len(classes)
    return Made(
        camera=np.zeros(count, np.int16) if camera is None else np.asarray(camera, np.int16),
        sequence=np.full(count, "") if sequence is None else np.asarray(sequence),
        meta=SimpleNamespace(dataset="made"),
    )


def test_true_matches_are_of_another_camera_or_sequence_or_else_any_other_image():
    classes = np.array([0, 0, 1, 1])
    assert apart(made(classes, camera=[1, 2, 1, 2]), classes).tolist() == [1, 2, 1, 2]
    assert apart(made(classes, sequence=["a", "b", "a", ""]), classes).tolist()[:2] == [1, 2]
    assert len(set(apart(made(classes), classes).tolist())) == 4
    assert len(set(apart(made(classes, camera=[1, 1, 2, 2]), classes).tolist())) == 4  # a camera tells the identity


def test_the_held_out_score_is_the_mean_average_precision_by_hand():
    classes = np.array([0, 0, 1, 1])
    score = held_out_score(made(classes), classes)
    vectors = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6], [0.0, 1.0]])
    unit = vectors.numpy()
    distances = ((unit[:, None] - unit[None]) ** 2).sum(-1)
    expected = []
    for query in range(4):
        others = [one for one in range(4) if one != query]
        order = sorted(others, key=lambda one: (distances[query, one], classes[one] == classes[query]))
        expected.append(1 / (1 + [classes[one] == classes[query] for one in order].index(True)))
    assert score(vectors, np.arange(4)) == pytest.approx(np.mean(expected))


def test_a_nuisance_within_identities_is_found_on_identities_held_out():
    """Two directions of eight vary within identities alone: whitening must rank far better than none, and be chosen."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(30), 4)
    centres = rng.normal(size=(30, 8)) * ([0.0, 0.0] + [1.0] * 6)
    features = centres[classes] + rng.normal(size=(120, 8)) * ([8.0, 8.0] + [0.3] * 6)
    chosen, scores = choose_shrinkage(
        torch.from_numpy(features).float(), classes, held_out_score(made(classes), classes), seed=0
    )
    assert chosen < 0.5
    assert scores[chosen] > 0.9 > 0.6 > scores[1.0]  # 1: no direction is told from another


@pytest.mark.parametrize("width", [6, 40])  # fewer dimensions than images, and more
def test_shrinkages_are_scored_on_what_their_whitening_gives(width):
    """The distances that are scored are those of features times the whitening of the other half."""
    classes = np.repeat(np.arange(8), 3)
    features = torch.randn(24, width, generator=torch.Generator().manual_seed(1))
    seen = []

    def score(vectors, rows):
        seen.append((torch.cdist(vectors, vectors), rows))
        return 0.0

    candidates = (0.05, 0.5, 1.0)
    choose_shrinkage(features, classes, score, 0, candidates)
    for number, (found, rows) in enumerate(seen):
        others = np.setdiff1d(np.arange(24), rows)
        spread = within_spread(features[others], np.unique(classes[others], return_inverse=True)[1])
        expected = features[rows] @ whitening(spread, candidates[number % 3])
        torch.testing.assert_close(found, torch.cdist(expected, expected), rtol=1e-3, atol=1e-3)
    assert len(seen) == 6


def _truth(values, classes, shrinkage):
    """Whitened by inverse root in float64, and of length 1."""
    own = values.double()
    means = torch.stack([own[classes == one].mean(0) for one in range(classes.max() + 1)])
    left = own - means[classes]
    covariance = left.T @ left / (len(own) - len(means))
    covariance = (1 - shrinkage) * covariance + shrinkage * covariance.trace() / len(covariance) * torch.eye(
        len(covariance), dtype=torch.float64
    )
    inverse = torch.linalg.inv(covariance)
    return own, inverse


def literal_distances(values, classes, shrinkage):
    """Cosine distances 2 - 2 cos under the inverse covariance, pair by pair, divided by their deviation."""
    own, inverse = _truth(values, classes, shrinkage)
    count = len(own)
    inner = torch.zeros(count, count, dtype=torch.float64)
    for one in range(count):
        for other in range(count):
            inner[one, other] = own[one] @ inverse @ own[other]
    norms = inner.diagonal().sqrt()
    distances = 2 - 2 * inner / norms[:, None] / norms[None]
    off = ~torch.eye(count, dtype=bool)
    return distances / distances[off].std(unbiased=False)


CLASSES = np.repeat(np.arange(6), 4)
GROUPS = ([0], [1, 2])  # neck; both hips


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("descriptors")
    frames = small_frames(folder / "frames.arrow", (CLASSES + 1).tolist())
    points = np.random.default_rng(5).random((24, 3, 3)) * [16, 32, 1]
    poses = Poses(points.astype(np.float32), np.zeros((24, 3 * 32), np.float32))
    write_keypoints(folder / "keypoints.parquet", JOINTS, [(frames.frame_id, poses)])
    encoder = load_ranked_encoder(write_encoder(folder / "encoder.safetensors"))
    return encoder, frames, folder / "keypoints.parquet", points


def config(pools: str = "joints", maps=("middle", "late"), **more) -> RankConfig:
    sigma = {"sigma": 0.1} if "joints" in pools else {"count": 3}
    return RankConfig(
        pools=pools, maps=maps, **({"whiten_global": True, "mirror": False} | (sigma if maps else {}) | more)
    )


def fitted(study, asked: RankConfig):
    (encoder, beside), frames, table, _ = study
    found = fit_descriptors(asked, encoder, beside, frames, CLASSES, table, "32-true", 0)
    return found, found.embed(encoder, beside, frames, table)


def maps_of(study, mirrored: bool = False) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The global embedding before it is brought to length 1, and the maps, of all frames or of their mirror images."""
    (encoder, _), frames, _, _ = study
    found = {}

    def around(encode):
        def keep(images, rows):
            with captured(encoder, ["middle", "late"]) as maps:
                features = encode(images.flip(3) if mirrored else images, rows)
            found.update(maps)
            return features

        return keep

    _, f2, f3 = encode_frames(encoder, frames, encoder.input_config, around=around)
    return torch.cat([f2, f3], dim=1), found


def unit(values: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(values, dim=1)


def at_joints(found: torch.Tensor, points: np.ndarray, stride: int) -> torch.Tensor:
    """Means under the Gaussians of each group, cell by cell."""
    count, width, rows, columns = found.shape
    result = np.zeros((count, len(GROUPS), width))
    for image in range(count):
        for place, joints in enumerate(GROUPS):
            weights = np.zeros((rows, columns))
            for row in range(rows):
                for column in range(columns):
                    y, x = stride * (row + 0.5), stride * (column + 0.5)
                    for joint in joints:
                        away = (points[image, joint, 0] - x) ** 2 + (points[image, joint, 1] - y) ** 2
                        weights[row, column] += np.exp(-away / 2 / (0.1 * 32) ** 2)
            weights /= weights.sum()
            result[image, place] = (found[image].numpy() * weights).sum(axis=(1, 2))
    return torch.from_numpy(result.reshape(count, -1)).float()


def test_distances_are_the_global_one_and_the_mean_of_the_maps_each_over_its_deviation(study):
    found, embedding = fitted(study, config())
    whole, maps = maps_of(study)
    shrinkage = found.header.facts["shrinkage"]
    expected = literal_distances(unit(whole), CLASSES, shrinkage["global"])
    for name, stride in (("middle", 8), ("late", 16)):
        values = at_joints(maps[name], study[3], stride)
        expected = expected + literal_distances(values, CLASSES, shrinkage[name]) / 2
    ours = torch.cdist(torch.from_numpy(embedding).double(), torch.from_numpy(embedding).double()) ** 2
    torch.testing.assert_close(ours, expected, rtol=2e-3, atol=2e-3)


def test_joints_are_doubted_before_maps_are_pooled_at_them(study):
    found, embedding = fitted(study, config(maps=("middle",), doubt=0.4))
    whole, maps = maps_of(study)
    usual, points = study[3].mean(axis=0), study[3].copy()
    share = points[..., 2:] / (points[..., 2:] + 0.4)
    points[..., :2] = share * points[..., :2] + (1 - share) * usual[..., :2]
    parts = {"global": unit(whole), "middle": at_joints(maps["middle"], points, 8)}
    expected = sum(
        literal_distances(one, CLASSES, found.header.facts["shrinkage"][name]) for name, one in parts.items()
    )
    ours = torch.cdist(torch.from_numpy(embedding).double(), torch.from_numpy(embedding).double()) ** 2
    torch.testing.assert_close(ours, expected, rtol=2e-3, atol=2e-3)


def test_mirrored_parts_are_means_over_an_image_and_its_mirror_image(study):
    found, embedding = fitted(study, config(maps=("middle",), mirror=True))
    points = study[3] * [-1, 1, 1] + [16, 0, 0]
    views = [(maps_of(study), study[3]), (maps_of(study, mirrored=True), points[:, [0, 2, 1]])]
    whole = unit(sum(whole for (whole, _), _ in views) / 2)
    local = sum(at_joints(maps["middle"], joints, 8) for (_, maps), joints in views) / 2
    parts = {"global": whole, "middle": local}
    expected = sum(
        literal_distances(one, CLASSES, found.header.facts["shrinkage"][name]) for name, one in parts.items()
    )
    ours = torch.cdist(torch.from_numpy(embedding).double(), torch.from_numpy(embedding).double()) ** 2
    torch.testing.assert_close(ours, expected, rtol=2e-3, atol=2e-3)


def test_a_row_may_be_the_mirror_alone(study):
    _, embedding = fitted(study, config("global", maps=(), whiten_global=False, mirror=True))
    whole = unit(maps_of(study)[0] + maps_of(study, mirrored=True)[0])
    torch.testing.assert_close(unit(torch.from_numpy(embedding)), whole)


def test_an_unwhitened_global_feature_keeps_its_order(study):
    _, embedding = fitted(study, config(maps=("middle",), whiten_global=False))
    whole, _ = maps_of(study)
    part = torch.from_numpy(embedding[:, : whole.shape[1]])
    torch.testing.assert_close(torch.nn.functional.normalize(part, dim=1), unit(whole))


def test_without_maps_the_global_feature_alone_is_whitened(study):
    found, embedding = fitted(study, config("global", maps=()))
    expected = literal_distances(unit(maps_of(study)[0]), CLASSES, found.header.facts["shrinkage"]["global"])
    ours = torch.cdist(torch.from_numpy(embedding).double(), torch.from_numpy(embedding).double()) ** 2
    torch.testing.assert_close(ours, expected, rtol=2e-3, atol=2e-3)


def test_every_kind_of_pools_gives_other_vectors_and_equal_seeds_equal_ones(study):
    kinds = ("joints", "mean_joints", "other_joints", "stripes", "global")
    embeddings = {kind: fitted(study, config(kind))[1] for kind in kinds}
    for kind in kinds:
        assert np.array_equal(fitted(study, config(kind))[1], embeddings[kind])
        for other in kinds:
            assert kind == other or not np.array_equal(embeddings[kind], embeddings[other])


def test_mean_joints_need_no_pose_when_images_are_ranked(study):
    (encoder, beside), frames, _, _ = study
    found, embedding = fitted(study, config("mean_joints"))
    assert np.array_equal(found.embed(encoder, beside, frames, None), embedding)


@pytest.mark.parametrize("doubt", [None, 0.3])  # toward the mean joints of the training images, whatever is ranked
def test_an_images_vector_does_not_depend_on_the_images_beside_it(study, doubt):
    (encoder, beside), frames, table, _ = study
    found, embedding = fitted(study, config(doubt=doubt))
    few = found.embed(encoder, beside, frames.take([3, 7]), table)
    np.testing.assert_allclose(few, embedding[[3, 7]], rtol=1e-4, atol=1e-5)
