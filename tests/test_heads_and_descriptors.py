"""Attributes and joints in one training: the losses are those of both ideas, and neither reads what is the other's."""

import numpy as np
import pytest
import torch
from ideas import HEADS
from joint_study import CLASSES, HEIGHT, WIDTH, equal_weights, idea, joint_frames, settings_of, tower, train
from tiny_training import VOCABULARY, WORDS

from auxreid.auxiliary.attribute_heads import AttributeHeads
from auxreid.auxiliary.heads_and_descriptors import HeadsAndDescriptors
from auxreid.clip.images import PLAIN, View
from auxreid.clip.maps import captured

JOINTS = {"kind": "joint_descriptors", "maps": ["middle"], "dim": 4, "weight": 0.7, "pools": "joints", "sigma": 0.1}
BOTH = {"kind": "heads_and_descriptors", "heads": HEADS, "descriptors": JOINTS}
ROWS, VIEWS = np.array([4, 0, 7, 1]), [PLAIN, View(True, 3, 5), PLAIN, PLAIN]


@pytest.fixture
def data(tmp_path):
    """Frames of three people with words and joints."""
    return joint_frames(tmp_path, vocabulary=VOCABULARY, words=WORDS)


def terms_of(added, encoder, labels) -> dict[str, torch.Tensor]:
    """Of noise images that are seen as VIEWS."""
    images = torch.randn(len(ROWS), 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    with captured(encoder, added.maps) as maps:
        features = encoder(images)
    after, terms = added(features, added.observe(features, maps, added.inputs(ROWS, VIEWS)), labels)
    assert after is features
    return terms


def test_the_loss_is_that_of_both_alone(data):
    encoder, labels = tower().eval(), torch.from_numpy(CLASSES[ROWS])
    both, heads, joints = (idea(block, data, encoder) for block in (BOTH, HEADS, JOINTS))
    heads.load_state_dict(both.heads.state_dict())
    joints.load_state_dict(both.descriptors.state_dict())
    ours, first, second = (terms_of(one, encoder, labels) for one in (both, heads, joints))
    torch.testing.assert_close(ours.pop("loss"), first.pop("loss") + second.pop("loss"))
    assert ours == first | second and len(ours) == 3


def test_words_of_images_go_to_the_heads_and_joints_to_the_descriptors(data):
    encoder, labels = tower().eval(), torch.from_numpy(CLASSES[ROWS])
    joints = idea(JOINTS, data, encoder)
    codes = np.random.default_rng(0).integers(0, 2, (len(CLASSES), 3))
    heads = AttributeHeads(encoder.dims[1], codes, (2, 2, 2), 0.3, False, of_images=True)
    ours = terms_of(HeadsAndDescriptors(heads, joints), encoder, labels)
    assert ours["attributes"] == terms_of(heads, encoder, labels)["attributes"]
    assert ours["descriptor_id"] == terms_of(joints, encoder, labels)["descriptor_id"]


def test_weights_of_0_train_the_encoder_as_without_it(data):
    alone, _, _ = train(None, data)
    off, _, curve = train(BOTH | {"heads": HEADS | {"weight": 0.0}, "descriptors": JOINTS | {"weight": 0.0}}, data)
    assert equal_weights(alone, off)
    assert {"attributes", "descriptor_id", "descriptor_triplet"} < set(curve[0])


@pytest.mark.parametrize("part", ["heads", "descriptors"])
def test_each_part_reaches_the_encoder(data, part):
    other = BOTH | {part: BOTH[part] | {"weight": 0.0}}
    (first, _, _), (again, _, _), (without, _, _) = train(BOTH, data), train(BOTH, data), train(other, data)
    assert equal_weights(first, again) and not equal_weights(first, without)


def test_it_reads_what_its_parts_read():
    assert settings_of(BOTH).needs_attributes and settings_of(BOTH).needs_pose and not settings_of(BOTH).ranks_pose
    stripes = {key: value for key, value in JOINTS.items() if key != "sigma"} | {"pools": "stripes", "count": 2}
    assert not settings_of(BOTH | {"descriptors": stripes}).needs_pose
    assert settings_of(BOTH | {"heads": HEADS | {"level": "image"}}).needs_predictions
