"""A second projection of f2: its losses, and what is ranked with it."""

import numpy as np
import pytest
import torch
from tiny_training import CLASSES, DIMS, built, few_people, same_weights, tiny_settings, trained
from torch.nn import functional as F

from auxreid.auxiliary.second_head import SecondHead
from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import AuxiliaryHeader, load_ranked_encoder, save_tower
from auxreid.clip.embed import encode_frames
from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.clipreid.losses import batch_hard_triplet
from auxreid.plumbing.settings.auxiliary import SecondHead as Config
from auxreid.plumbing.settings.recipes import InputConfig, ResNetEncoderConfig, TextConfig

CONFIG = {"kind": "second_head", "dim": 6}
LABELS = torch.tensor([0, 0, 1, 1])


@pytest.fixture
def people(tmp_path):
    return few_people(tmp_path)


def test_it_adds_an_identity_and_a_triplet_loss_of_its_own_feature():
    torch.manual_seed(0)
    module = SecondHead(5, 6, 3, tiny_settings(w_id=0.25, w_triplet=0.5))
    given = tuple(torch.randn(4, width) for width in (3, 5, 2))
    own = given[1] @ module.projection.weight.T
    after, terms = module(given, (), LABELS)
    centred = (own - own.mean(0)) / (own.var(0, unbiased=False) + 1e-5).sqrt()
    q = F.one_hot(LABELS, 3) * 0.9 + 0.1 / 3
    identity = -(q * F.log_softmax(centred @ module.neck.classifier.weight.T, dim=1)).sum(1).mean()
    triplet = batch_hard_triplet(own, LABELS, 0.3)
    torch.testing.assert_close(terms["head_id"], identity)
    torch.testing.assert_close(terms["head_triplet"], triplet)
    torch.testing.assert_close(terms["loss"], 0.25 * identity + 0.5 * triplet)
    assert after is given  # CLIP-ReID's own losses see nothing of it


def test_stage_2_trains_it_with_the_encoder(people):
    torch.manual_seed(0)
    before = SecondHead(DIMS[1], 6, 4, None).projection.weight
    weights, curve, module = trained(people, CONFIG)
    assert not torch.equal(module.projection.weight, before) and not same_weights(weights, trained(people)[0])
    assert all({"head_id", "head_triplet"} <= set(means) for means in curve)


def test_its_losses_off_the_encoder_is_trained_as_without_it(people):
    off = {"w_id": 0.0, "w_triplet": 0.0}
    assert same_weights(trained(people, **off)[0], trained(people, CONFIG, **off)[0])


@pytest.mark.parametrize("width", [1, 6])
def test_it_is_ranked_from_its_file_beside_f2_and_f3(people, tmp_path, width):
    size, config = (32, 32), Config(kind="second_head", dim=width)
    tower = ResNetEncoderConfig(
        kind="resnet", width=4, layers=(1, 1, 1, 1), embed_dim=8, text=TextConfig(width=16, heads=2, layers=1)
    )
    encoder, _ = build_towers(tower, size)
    images = InputConfig(height=size[0], width=size[1], mean=(0.5,) * 3, std=(0.5,) * 3)
    head = SecondHead(encoder.dims[1], width, 4, None)
    head.neck.norm.running_mean += 1  # of no matter for what is ranked
    path, beside = tmp_path / "encoder.safetensors", (head, AuxiliaryHeader(config=config, facts=head.facts))
    save_tower(encoder, path, tower, images, beside)
    found = embed_for_ranking(*load_ranked_encoder(path), people, None)
    _, f2, f3 = encode_frames(encoder, people, images)
    with torch.no_grad():
        expected = F.normalize(torch.cat([f2, f3, f2 @ head.projection.weight.T], dim=1), dim=1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)
    assert found.shape == (len(CLASSES), sum(encoder.dims[1:]) + width)


def test_it_is_built_for_the_training_identities(people):
    _, module = built(people, CONFIG, tiny_settings())
    assert module.facts == {"identities": 4} and module.projection.weight.shape == (6, DIMS[1])
