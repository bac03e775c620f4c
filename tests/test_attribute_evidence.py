"""Predicted attributes as vectors whose distances are Bhattacharyya's, their weights, and as a part of descriptors."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from encoder_files import INPUT, write_encoder
from hypothesis import given
from hypothesis import strategies as st
from small_frames import noise, small_frames

from auxreid.attributes.model import AttributeModel, load_model, save_model
from auxreid.attributes.predict import predict
from auxreid.clip.checkpoints import load_ranked_encoder
from auxreid.clipreid.described import fitting_descriptors
from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.descriptors.evidence import Evidence, fit_evidence, separating_weights
from auxreid.descriptors.file import read_descriptors, write_descriptors
from auxreid.descriptors.fit import Descriptors, fit_descriptors
from auxreid.evaluation.ranking import squared_distances
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.pose.joint_places import another

SPOKEN = {"colour": ["red", "green", "blue"], "hat": ["no", "yes"]}
WORDS = {name: len(words) for name, words in SPOKEN.items()}


def drawn(seed: int, images: int, sharpness: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.dirichlet([sharpness] * words, images) for name, words in WORDS.items()}


def with_weights(probabilities, **weights: float) -> Evidence:
    return Evidence(weights, {name: np.nanmean(np.sqrt(p), axis=0) for name, p in probabilities.items()})


def half_distances(embedding: np.ndarray) -> np.ndarray:
    return squared_distances(embedding, embedding) / 2


# vectors


@given(st.integers(0, 1000), st.floats(0, 3), st.floats(0, 3))
def test_half_the_squared_distance_is_the_weighted_sum_of_one_minus_bhattacharyya(seed, colour, hat):
    images = drawn(seed, 6, sharpness=0.3)
    found = half_distances(with_weights(images, colour=colour, hat=hat).vectors(images))
    for i, j in product(range(6), repeat=2):
        coefficients = {
            name: sum(np.sqrt(p[i, word] * p[j, word]) for word in range(WORDS[name])) for name, p in images.items()
        }
        expected = colour * (1 - coefficients["colour"]) + hat * (1 - coefficients["hat"])
        assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_two_images_by_hand():
    images = {"hat": np.array([[1.0, 0.0], [0.36, 0.64]])}
    embedding = with_weights(images, hat=4.0).vectors(images)
    np.testing.assert_allclose(embedding, [[2, 0, 0], [1.2, 1.6, 0]], rtol=1e-6)
    assert half_distances(embedding)[0, 1] == pytest.approx(4 * (1 - 0.6))


def test_an_unknown_attribute_is_as_far_from_images_as_they_are_from_each_other():
    images = drawn(0, 400, sharpness=0.5)
    evidence = with_weights(images, colour=1.0, hat=2.0)
    unknown = {name: np.full((1, words), np.nan) for name, words in WORDS.items()}
    known, nothing = evidence.vectors(images), evidence.vectors(unknown)
    assert (known[:, 3] == 0).all() and (known[:, 6] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(nothing), np.linalg.norm(known, axis=1), rtol=1e-5)
    among = half_distances(known).mean()
    assert squared_distances(nothing, known).mean() / 2 == pytest.approx(among, rel=1e-4)


# weights


def slow_weight(p: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> float:
    """Pair by pair."""
    known = [row for row in range(len(p)) if not np.isnan(p[row]).any()]
    unlike = {True: [], False: []}
    for i, j in product(known, repeat=2):
        same = bool(classes[i] == classes[j])
        if not same or groups[i] != groups[j]:
            unlike[same].append(1 - np.sqrt(p[i] * p[j]).sum())
    one, two = (np.array(unlike[same]) for same in (True, False))
    return max(0.0, (two.mean() - one.mean()) / ((one.var() + two.var()) / 2))


@given(st.integers(0, 1000))
def test_weights_are_those_of_all_pairs(seed):
    images, rng = drawn(seed, 14), np.random.default_rng(seed)
    classes = np.concatenate([[0, 0, 1, 1], rng.integers(0, 4, 10)])
    groups = np.concatenate([[1, 2, 1, 2], rng.integers(1, 4, 10)])
    images["hat"][rng.integers(4, 14)] = np.nan
    found = separating_weights(images, classes, groups)
    for name, p in images.items():
        assert found[name] == pytest.approx(slow_weight(p, classes, groups), rel=1e-6, abs=1e-9)


def test_an_attribute_that_never_varies_weighs_nothing():
    images = {"hat": np.tile([0.3, 0.7], (4, 1))}
    assert separating_weights(images, np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2])) == {"hat": 0.0}


@pytest.mark.parametrize(("classes", "groups"), [([0, 0, 1, 1], [1, 1, 2, 2]), ([0, 0, 0, 0], [1, 2, 1, 2])])
def test_weights_need_pairs_of_both_kinds(classes, groups):
    with pytest.raises(DataError, match="evidence of hat: there must be pairs of one person's images in two groups"):
        separating_weights({"hat": np.full((4, 2), 0.5)}, np.array(classes), np.array(groups))


def test_attributes_that_tell_nobody_apart_are_told():
    images = {"hat": np.tile([0.3, 0.7], (4, 1))}
    with pytest.raises(DataError, match="evidence of hat: none tells training identities apart"):
        fit_evidence(images, np.array([0, 0, 1, 1]), np.arange(4))


def test_the_better_an_attribute_tells_people_apart_the_more_it_weighs():
    rng, classes = np.random.default_rng(0), np.repeat(np.arange(30), 4)
    told = rng.dirichlet([0.3] * 3, 30)[classes]
    images = {"colour": 0.8 * told + 0.2 * rng.dirichlet([1] * 3, 120), "hat": rng.dirichlet([0.3] * 2, 120)}
    evidence = fit_evidence(images, classes, np.arange(120))
    assert sum(evidence.weights.values()) == pytest.approx(1) and evidence.weights["colour"] > 0.9
    np.testing.assert_allclose(evidence.typical["hat"], np.sqrt(images["hat"]).mean(axis=0))
    np.testing.assert_allclose(np.linalg.norm(evidence.vectors(images), axis=1), 1, rtol=1e-5)


# as a part of descriptors


CLASSES = np.repeat(np.arange(6), 4)
ALONE = {"pools": "global", "maps": (), "whiten_global": False, "mirror": False}


def write_model(path: Path, vocabulary: dict[str, list[str]]) -> Path:
    """An attribute model with random heads that are sure of themselves."""
    torch.manual_seed(0)
    model = AttributeModel(timm.create_model("test_resnet", num_classes=0), vocabulary).eval()
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight)
    model.calibration.temperatures["hat"] = 0.5
    save_model(path, model, "test_resnet", INPUT)
    return path


def coloured(number: int, width: int, height: int) -> np.ndarray:
    """Noise in the colour of the identity."""
    colour = np.random.default_rng(100 + number // 4).integers(0, 256, 3)
    return (0.7 * colour + 0.3 * noise(number, width, height)).astype(np.uint8)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """An encoder, frames of one camera without sequences, and an attribute model."""
    folder = tmp_path_factory.mktemp("evidence")
    frames = small_frames(folder / "frames.arrow", (CLASSES + 1).tolist(), picture=coloured)
    encoder = load_ranked_encoder(write_encoder(folder / "encoder.safetensors"))
    return encoder, frames, write_model(folder / "model.safetensors", SPOKEN)


def fitted(study, share: float = 0.3, shuffled: bool = False, **changes) -> Descriptors:
    (encoder, beside), frames, model = study
    config = RankConfig.model_validate(ALONE | changes | {"evidence": {"share": share, "shuffled": shuffled}})
    return fit_descriptors(config, encoder, beside, frames, CLASSES, None, "32-true", 0, attributes=model)


def embedded(study, descriptors: Descriptors) -> np.ndarray:
    (encoder, beside), frames, model = study
    return descriptors.embed(encoder, beside, frames, None, attributes=model)


def literal(distance) -> np.ndarray:
    """Of all pairs of images, over their deviation."""
    found = np.array([[distance(i, j) for j in range(24)] for i in range(24)])
    return found / found[~np.eye(24, dtype=bool)].std()


def test_distances_are_the_global_ones_and_a_share_of_the_attributes_each_over_its_deviation(study):
    (encoder, beside), frames, file = study
    whole = embed_for_ranking(encoder, beside, frames, None).astype(np.float64)
    model, spec = load_model(file)
    images = predict(model, frames, spec)
    weights = {name: slow_weight(p, CLASSES, np.arange(24)) for name, p in images.items()}

    def unlike(i: int, j: int) -> float:
        return sum(w * (1 - np.sqrt(images[name][i] * images[name][j]).sum()) for name, w in weights.items())

    expected = literal(lambda i, j: ((whole[i] - whole[j]) ** 2).sum()) + 0.3 * literal(unlike)
    found = embedded(study, fitted(study)).astype(np.float64)
    assert 0.01 < min(weights.values()) / sum(weights.values()) < 1
    np.testing.assert_allclose(((found[:, None] - found[None]) ** 2).sum(axis=2), expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("centre", [None, "mean"])
def test_it_goes_beside_local_pools_and_leaves_them_as_they_are(study, centre):
    (encoder, beside), frames, _ = study
    stripes = {"pools": "stripes", "maps": ("middle",), "count": 2, "whiten_global": True, "mirror": False}
    stripes |= {"centre": centre}
    plain = fit_descriptors(RankConfig(**stripes), encoder, beside, frames, CLASSES, None, "32-true", 0)
    local = plain.embed(encoder, beside, frames, None)
    both = embedded(study, fitted(study, **stripes))
    np.testing.assert_array_equal(both[:, : local.shape[1]], local)
    alone = embedded(study, fitted(study))
    np.testing.assert_array_equal(both[:, local.shape[1] :], alone[:, -(both.shape[1] - local.shape[1]) :])


def test_the_control_is_fitted_alike_and_gives_each_image_the_attributes_of_another(study):
    true, control = fitted(study), fitted(study, shuffled=True)
    assert true.header.facts == control.header.facts and true.tensors.keys() == control.tensors.keys()
    assert all(torch.equal(true.tensors[name], control.tensors[name]) for name in true.tensors)
    one, other = embedded(study, true), embedded(study, control)
    width = sum(len(words) + 1 for words in SPOKEN.values())
    np.testing.assert_array_equal(one[:, :-width], other[:, :-width])
    np.testing.assert_array_equal(other[:, -width:], one[another(24, 0), -width:])
    assert np.array_equal(other, embedded(study, fitted(study, shuffled=True)))


def test_it_is_in_one_file_and_takes_the_attribute_model_alone(study, tmp_path):
    write_descriptors(tmp_path / "d.safetensors", fitted(study))
    read = read_descriptors(tmp_path / "d.safetensors")
    assert np.array_equal(embedded(study, read), embedded(study, fitted(study)))
    (encoder, beside), frames, model = study
    few = read.embed(encoder, beside, frames.take([3, 7]), None, attributes=model)
    np.testing.assert_allclose(few, embedded(study, read)[[3, 7]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("vocabulary", "told"),
    [
        ({"colour": SPOKEN["colour"]}, r"other: tells of hat: nothing; the descriptors were fitted to: no, yes"),
        (SPOKEN | {"hat": ["yes", "no"]}, r"other: tells of hat: yes, no; the descriptors were fitted to: no, yes"),
        (SPOKEN | {"bag": ["no", "yes"]}, r"other: tells of bag: no, yes; the descriptors were fitted to: nothing"),
    ],
)
def test_another_attribute_model_is_told(study, tmp_path, vocabulary, told):
    (encoder, beside), frames, _ = study
    other = write_model(tmp_path / "other", vocabulary)
    with pytest.raises(DataError, match=told):
        fitted(study).embed(encoder, beside, frames, None, attributes=other)


def test_a_missing_attribute_model_is_told(study, tmp_path):
    (encoder, beside), frames, _ = study
    with pytest.raises(DataError, match="take attributes of each image, which a model predicts; none is given"):
        fitted(study).embed(encoder, beside, frames, None)
    with pytest.raises(DataError, match=r"gone: no such file, where a model of attributes is needed"):
        fitted(study).embed(encoder, beside, frames, None, attributes=tmp_path / "gone")


def test_photographs_are_taken_with_an_attribute_model_and_no_control_takes_them(study, tmp_path):
    encoder, model = study[0][0], study[2]
    files = {name: tmp_path / f"{name}.safetensors" for name in ("true", "control", "plain")}
    plain = RankConfig.model_validate(ALONE | {"whiten_global": True})
    write_descriptors(files["plain"], fit_descriptors(plain, *study[0], study[1], CLASSES, None, "32-true", 0))
    write_descriptors(files["true"], fitted(study))
    write_descriptors(files["control"], fitted(study, shuffled=True))
    assert fitting_descriptors(files["true"], encoder, model).header.rank.evidence.share == 0.3
    with pytest.raises(DataError, match=r"true\.safetensors: takes attributes of each image; name .* by --attributes"):
        fitting_descriptors(files["true"], encoder)
    with pytest.raises(DataError, match=r"control\.safetensors: a control, with the attributes of other images"):
        fitting_descriptors(files["control"], encoder, model)
    with pytest.raises(DataError, match=r"model\.safetensors: .*plain\.safetensors takes no attributes; leave it out"):
        fitting_descriptors(files["plain"], encoder, model)
