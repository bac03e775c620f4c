"""Gated cross-attention beside a literal one, number by number."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_encoder import TinyEncoder

from auxreid.auxiliary import gated_fusion
from auxreid.auxiliary.gated_fusion import OfAttributes, OfJoints
from auxreid.clip.images import PADDING, PLAIN, View
from auxreid.clipreid.auxiliary import Context
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.auxiliary import GatedFusion
from auxreid.pose.joint_places import JointPlaces
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints

JOINTS = ("nose", "left_paw", "right_paw")
DIMS = (3, 5, 6)
SIZE = (64, 32)  # height, width
PLACES = np.random.default_rng(0).random((4, 3, 3)).astype(np.float32)
FEATURES = tuple(torch.randn(4, d, generator=torch.Generator().manual_seed(d)) for d in DIMS)
LABELS = torch.tensor([0, 0, 2, 1])


def config(**changes) -> GatedFusion:
    body = {"kind": "gated_fusion", "tokens": "joints", "heads": 2, "width": 8, "supervise": "fused"}
    return GatedFusion(**body | {"ranked": "fused", "closed": False, "shuffled": False} | changes)


def of_joints(**changes) -> OfJoints:
    torch.manual_seed(0)
    return OfJoints(DIMS[2], config(**changes), JointPlaces(PLACES, JOINTS, SIZE))


def slowly(fusion, f3: np.ndarray, tokens: np.ndarray, gate: float) -> np.ndarray:
    """One image: f3 [d] and tokens [t, w] -> [d], as the formula is written."""
    weights = {name: values.detach().double().numpy() for name, values in fusion.state_dict().items()}
    normed = (f3 - f3.mean()) / math.sqrt(f3.var() + 1e-5) * weights["query.0.weight"] + weights["query.0.bias"]
    asked = weights["query.1.weight"] @ normed + weights["query.1.bias"]
    width, heads = len(asked), fusion.attention.num_heads
    parts = [slice(one * width, (one + 1) * width) for one in range(3)]
    matrices = [(weights["attention.in_proj_weight"][part], weights["attention.in_proj_bias"][part]) for part in parts]
    query = matrices[0][0] @ asked + matrices[0][1]
    keys, values = ([matrix @ token + bias for token in tokens] for matrix, bias in matrices[1:])
    found = []
    for head in range(heads):
        of_head = slice(head * width // heads, (head + 1) * width // heads)
        sizes = [math.exp(query[of_head] @ key[of_head] / math.sqrt(width / heads)) for key in keys]
        found.append(sum(size / sum(sizes) * value[of_head] for size, value in zip(sizes, values, strict=True)))
    mixed = weights["attention.out_proj.weight"] @ np.concatenate(found) + weights["attention.out_proj.bias"]
    return f3 + math.tanh(gate) * (weights["result.weight"] @ mixed + weights["result.bias"])


def literal_tokens(fusion, places: np.ndarray) -> np.ndarray:
    weights = {name: values.detach().double().numpy() for name, values in fusion.state_dict().items()}
    lines = [weights["place.weight"] @ place + weights["place.bias"] for place in places]
    return np.stack(lines) + weights["joints.weight"]


def seen(fusion, rows=range(4), views=(PLAIN,) * 4) -> tuple[torch.Tensor, ...]:
    return fusion.observe(FEATURES, {}, fusion.inputs(np.array(rows), views))


def test_the_fused_feature_is_the_formula_s_and_takes_the_place_of_f3():
    fusion = of_joints()
    with torch.no_grad():
        fusion.gate.fill_(0.7)
        (f1, f2, fused), more = fusion(FEATURES, seen(fusion), LABELS)
    assert f1 is FEATURES[0] and f2 is FEATURES[1] and fusion.dims(DIMS) == DIMS
    expected = [
        slowly(fusion, f3, literal_tokens(fusion, places), 0.7)
        for f3, places in zip(FEATURES[2].double().numpy(), PLACES, strict=True)
    ]
    np.testing.assert_allclose(fused.numpy(), np.stack(expected), atol=1e-5)
    assert more["gate"].item() == pytest.approx(math.tanh(0.7)) and more["loss"].item() == 0.0
    torch.testing.assert_close(fusion.rank(FEATURES, seen(fusion))[2], fused)


def test_a_token_is_the_words_of_the_identity_or_that_they_are_unknown():
    torch.manual_seed(0)
    codes = np.array([[0, 2], [1, -1], [-1, 0]])
    fusion = OfAttributes(DIMS[2], config(tokens="attributes", ranked="image", supervise="both"), codes, (2, 3))
    table = fusion.embedding.weight  # red, green, unknown; small, medium, large, unknown
    assert len(table) == 7
    torch.testing.assert_close(
        fusion.tokens((), torch.tensor([0, 1, 2])), table[torch.tensor([[0, 5], [1, 6], [2, 3]])]
    )
    with torch.no_grad():
        fusion.gate.fill_(-0.4)
        supervised, _ = fusion(FEATURES, (), LABELS)
    tokens = table.detach().double().numpy()[np.array([[0, 5], [0, 5], [2, 3], [1, 6]])]
    expected = [slowly(fusion, *both, -0.4) for both in zip(FEATURES[2].double().numpy(), tokens, strict=True)]
    np.testing.assert_allclose(supervised[3].numpy(), np.stack(expected), atol=1e-5)
    assert supervised[2] is FEATURES[2] and fusion.dims(DIMS) == (*DIMS, DIMS[2])
    assert not fusion.ranked


def test_the_gate_starts_closed_and_opens_by_training_unless_it_is_fixed():
    for closed in (False, True):
        fusion = of_joints(closed=closed)
        (_, _, fused), _ = fusion(FEATURES, seen(fusion), LABELS)
        assert torch.equal(fused, FEATURES[2])
        fused.square().sum().backward()
        assert (fusion.gate.grad is None) == closed
        assert closed or fusion.gate.grad.abs() > 0
    assert len(list(of_joints(closed=True).parameters())) == len(list(of_joints().parameters()))


def test_joints_follow_the_view():
    fusion = of_joints()
    (known,) = fusion.inputs(np.array([1]), [View(mirrored=True, top=PADDING + 4, left=PADDING)])
    nose, left, right = PLACES[1]
    expected = [[1 - x, y - 4 / 64, sure] for x, y, sure in (nose, right, left)]
    np.testing.assert_allclose(known[0].numpy(), expected, atol=1e-6)


# --- as stage 2 builds it, and as ranking restores it


@pytest.fixture
def context(tmp_path) -> Context:
    """Four images of dogs, of which two are one dog; of every joint one place."""
    points = PLACES * np.array([20, 40, 1], np.float32)
    table = tmp_path / "keypoints.parquet"
    write_keypoints(table, JOINTS, [(np.arange(4), Poses(points, np.zeros((4, 96), np.float32)))])
    vocabulary = {"coat": ("short", "long"), "ears": ("drop", "erect")}
    codes = {"coat": np.array([0, 0, 1, -1]), "ears": np.array([1, 1, -1, 0])}
    frames = SimpleNamespace(
        frame_id=np.arange(4),
        size=np.full((4, 2), [20, 40]),
        identity=np.array([7, 7, 8, 9]),
        meta=SimpleNamespace(dataset="dogs", attributes=vocabulary, telling=()),
        attribute_codes=codes.__getitem__,
    )
    return Context(TinyEncoder(DIMS, SIZE), frames, np.array([0, 0, 1, 2]), table, None, 3)


def test_a_fusion_of_joints_is_restored_as_it_was_trained(context):
    trained = gated_fusion.build(config(), context)
    np.testing.assert_allclose(trained.places.places, PLACES, atol=1e-6)
    assert trained.ranked and not gated_fusion.build(config(ranked="image"), context).ranked
    restored = gated_fusion.restore(config(), trained.facts, context)
    restored.load_state_dict(trained.state_dict())
    torch.testing.assert_close(restored.rank(FEATURES, seen(restored))[2], trained.rank(FEATURES, seen(trained))[2])
    with pytest.raises(DataError, match=r"has the joints nose, left_paw, right_paw; trained with nose"):
        gated_fusion.restore(config(), {"joints": ["nose"]}, context)


def test_shuffled_joints_are_those_of_other_images(context):
    places = gated_fusion.build(config(shuffled=True), context).places.places
    sources = [int(np.abs(PLACES - place).sum(axis=(1, 2)).argmin()) for place in places]
    assert sorted(sources) == [0, 1, 2, 3] and all(row != source for row, source in enumerate(sources))


def test_attributes_are_the_identities_own_or_shuffled_among_them(context):
    of_attributes = {"tokens": "attributes", "ranked": "image"}
    own = gated_fusion.build(config(**of_attributes), context).words.tolist()
    assert own == [[0, 4], [1, 5], [2, 3]]
    shuffled = gated_fusion.build(config(**of_attributes, shuffled=True), context).words.tolist()
    assert sorted(shuffled) == sorted(own) and shuffled != own


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValidationError, match="width 9 is not a multiple of heads 2"):
        config(width=9)
    with pytest.raises(ValidationError, match="unknown at test; use ranked: image"):
        config(tokens="attributes")
    assert config().needs_pose and config().ranks_pose and not config().needs_attributes
    training_alone = config(tokens="attributes", ranked="image")
    assert training_alone.needs_attributes and not training_alone.needs_pose and not training_alone.ranks_pose
