"""Pre-training with a third tower: its terms beside literal ones, its towers, and what stays as it was."""

import hashlib
import math
from functools import partial

import numpy as np
import pytest
import torch
from test_pretrain import COLORS, ENCODER, INPUT, SETTINGS, frames, keep_loss  # noqa: F401 (a fixture)

from auxreid.clip.build import build_towers
from auxreid.clip.images import PLAIN
from auxreid.clip.pretrain import pretrain_clip
from auxreid.clip.pretrain_branch import AttributeTower, AttributeWords, Branch, PoseTower
from auxreid.training.seeding import seed_everything

FEATURES = torch.nn.functional.normalize(torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0)), dim=2)


def contrasted(one: np.ndarray, other: np.ndarray, scale: float) -> float:
    """CLIP's loss of two sets of features [b, e], as it is written."""
    count, total = len(one), 0.0
    for rows, columns in ((one, other), (other, one)):
        for number in range(count):
            sizes = [math.exp(scale * float(rows[number] @ column)) for column in columns]
            total -= math.log(sizes[number] / sum(sizes)) / count
    return total / 2


def test_the_loss_has_the_three_pairs_terms_and_the_third_towers_own_scale():
    torch.manual_seed(0)
    tower = torch.nn.Linear(3, 4)
    branch = Branch(tower, lambda rows, views: torch.zeros(0), weight=0.25)
    with torch.no_grad():
        branch.scale.fill_(math.log(5.0))
    known = torch.randn(5, 3)
    terms = {name: term.item() for name, term in branch(torch.tensor(1.5), *FEATURES, known).items()}
    third = tower(known).detach().double().numpy()
    third /= np.linalg.norm(third, axis=1, keepdims=True)
    image, text = FEATURES.double().numpy()
    assert terms["image_branch"] == pytest.approx(contrasted(image, third, 5.0), rel=1e-5)
    assert terms["text_branch"] == pytest.approx(contrasted(text, third, 5.0), rel=1e-5)
    assert terms["image_text"] == 1.5
    assert terms["loss"] == pytest.approx(1.5 + 0.25 * (terms["image_branch"] + terms["text_branch"]), rel=1e-6)


def test_the_third_towers_scale_stays_in_clips_bounds():
    branch = Branch(torch.nn.Linear(3, 4), lambda rows, views: torch.zeros(0), weight=1.0)
    for start, bound in ((9.0, math.log(100)), (-1.0, 0.0)):
        branch.scale.data.fill_(start)
        branch(torch.tensor(0.0), *FEATURES, torch.randn(5, 3))
        assert branch.scale.item() == pytest.approx(bound)


def test_attributes_are_the_mean_of_the_known_words_vectors():
    words = AttributeWords(np.array([[0, 2], [1, -1], [-1, -1]]), (2, 3))
    assert words(np.array([2, 0, 1]), [PLAIN] * 3).tolist() == [[5, 5], [0, 4], [1, 5]]
    torch.manual_seed(0)
    tower = AttributeTower(words.count, 6, 4)
    vectors = tower.bag.weight.detach()
    bags = torch.stack([(vectors[0] + vectors[4]) / 2, vectors[1], torch.zeros(6)])
    torch.testing.assert_close(tower(words(np.arange(3), [PLAIN] * 3)), tower.layers(bags))


def test_a_pose_is_told_by_where_joints_lie_whatever_the_size_of_their_moves():
    torch.manual_seed(0)
    tower, places = PoseTower(3, 8, 4), torch.rand(6, 3, 3)
    torch.testing.assert_close(tower(0.5 + 0.2 * places), tower(places), atol=1e-3, rtol=0)
    assert tower(places).shape == (6, 4)


# --- in the training


def weights(image, text) -> str:
    digest = hashlib.sha256()
    for tower in (image, text):
        for name, tensor in tower.state_dict().items():
            digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def pretrained(frames, branch=None):  # noqa: F811
    seed_everything(0)
    image, text = build_towers(ENCODER, (32, 32))
    curve: list[dict] = []
    third = branch() if branch is not None else None
    settings = SETTINGS.replaced({"epochs": 2})
    pretrain_clip(image, text, frames, settings, INPUT, 0, lambda *told: curve.append(told[0]), branch=third)
    return image, text, curve


def colours(frames, weight: float) -> Branch:  # noqa: F811
    words = AttributeWords(frames.attribute_codes("color")[:, None], (len(COLORS),))
    return Branch(AttributeTower(words.count, 8, 16), words, weight)


def test_without_weight_the_towers_are_trained_as_without_a_third(frames):  # noqa: F811
    plain, with_third = pretrained(frames), pretrained(frames, partial(colours, frames, 0.0))
    assert weights(*plain[:2]) == weights(*with_third[:2])
    assert set(plain[2][0]) == {"loss", "logit_scale"}
    assert [one["loss"] for one in plain[2]] == [one["image_text"] for one in with_third[2]]


def test_with_weight_a_third_tower_changes_both_and_comes_near_to_them(frames):  # noqa: F811
    plain, (image, text, curve) = pretrained(frames), pretrained(frames, partial(colours, frames, 1.0))
    assert weights(*plain[:2]) != weights(image, text)
    assert curve[-1]["image_branch"] < curve[0]["image_branch"]
    assert set(curve[0]) == {"loss", "image_text", "image_branch", "text_branch", "logit_scale"}
