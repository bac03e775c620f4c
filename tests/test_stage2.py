"""Stage 2: the sum of its terms, its heads, and the training loop."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from params import finetune_settings
from tiny_encoder import TinyEncoder
from torch import nn
from torch.nn import functional as F

from auxreid.clipreid.losses import batch_hard_triplet
from auxreid.clipreid.stage2 import finetune_encoder
from auxreid.clipreid.stage2_losses import Stage2Losses, Supervision
from auxreid.data.frames import FramesMeta, open_frames, write_frames

SETTINGS = finetune_settings(
    epochs=3,
    identities=2,
    instances=2,
    lr=1e-2,
    weight_decay=0.0,
    milestones=[2],
    warmup_epochs=1,
    warmup_factor=0.1,
    w_id=0.25,
    w_triplet=0.5,
    w_i2t=2.0,
    erasing=0.0,
)
IDENTITIES = torch.tensor([0, 0, 1, 1])


def features() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(4, d, generator=generator) for d in (3, 5, 2))


def test_the_loss_is_the_weighted_sum_of_two_id_three_triplet_and_one_text_term():
    texts = torch.randn(2, 2, generator=torch.Generator().manual_seed(1))
    losses = Stage2Losses((3, 5, 2), 2, Supervision(texts), SETTINGS)
    f1, f2, f3 = features()
    terms = losses((f1, f2, f3), IDENTITIES)

    def smoothed(logits):
        q = F.one_hot(IDENTITIES, 2) * 0.9 + 0.05
        return -(q * F.log_softmax(logits, dim=1)).sum(dim=1).mean()

    def necked(f, neck):
        centred = (f - f.mean(0)) / (f.var(0, unbiased=False) + 1e-5).sqrt()
        return centred @ neck.classifier.weight.T

    ids = smoothed(necked(f2, losses.necks[0])) + smoothed(necked(f3, losses.necks[1]))
    triplets = sum(batch_hard_triplet(f, IDENTITIES, 0.3) for f in (f1, f2, f3))
    expected = 0.25 * ids + 0.5 * triplets + 2.0 * smoothed(f3 @ texts.T)
    torch.testing.assert_close(terms["loss"], expected)


def test_without_texts_there_is_no_text_term():
    terms = Stage2Losses((3, 5, 2), 2, Supervision(), SETTINGS)(features(), IDENTITIES)
    assert set(terms) == {"loss", "id", "triplet"}


def test_the_necks_bias_stays_zero_and_the_texts_stay_frozen():
    losses = Stage2Losses((3, 5, 2), 2, Supervision(torch.ones(2, 2)), SETTINGS)
    trained = {name for name, parameter in losses.named_parameters() if parameter.requires_grad}
    assert trained == {f"necks.{n}.{part}.weight" for n in (0, 1) for part in ("norm", "classifier")}


@pytest.fixture
def frames(tmp_path):
    import cv2

    rows = []
    for number in range(12):
        pixels = np.full((8, 4, 3), 60 * (number // 4) + 5 * (number % 4), np.uint8)
        rows.append({"path": f"{number}.png", "split": "train", "identity": number // 4 + 1, "width": 4, "height": 8})
        rows[-1]["image"] = cv2.imencode(".png", pixels)[1].tobytes()
    write_frames(tmp_path / "frames.arrow", rows, FramesMeta("tiny", "dogs", "dogs", "dog"))
    return open_frames(tmp_path / "frames.arrow")


def train(frames, texts) -> tuple[nn.Module, list[dict[str, float]]]:
    torch.manual_seed(0)
    encoder, curve = TinyEncoder((2, 4, 3), (8, 4)), []
    classes = np.arange(12) // 4
    finetune_encoder(
        encoder, frames, classes, Supervision(texts), SETTINGS, 0, lambda metrics, epoch: curve.append(metrics)
    )
    return encoder, curve


def test_equal_seeds_give_equal_weights_and_every_term_is_reported(frames):
    texts = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    (first, curve), (second, _) = train(frames, texts), train(frames, texts)
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [set(metrics) for metrics in curve] == [{"loss", "id", "triplet", "i2t", "lr"}] * 3
    assert [metrics["lr"] for metrics in curve] == pytest.approx([1e-2, 1e-3, 1e-3])
    assert not first.training


def test_workers_do_not_change_the_result(frames, monkeypatch):
    alone, _ = train(frames, None)
    monkeypatch.setenv("AUXREID_WORKERS", "2")
    helped, _ = train(frames, None)
    for ours, theirs in zip(alone.parameters(), helped.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_loss_that_is_not_finite_names_epoch_and_step(frames):
    with pytest.raises(FloatingPointError, match="nan at epoch 1, step 0"):
        train(frames, torch.full((3, 3), torch.nan))


def test_settings_are_plain_attributes():
    losses = Stage2Losses((3, 5, 2), 2, Supervision(), SimpleNamespace(**SETTINGS.model_dump() | {"w_triplet": 0.0}))
    terms = losses(features(), IDENTITIES)
    torch.testing.assert_close(terms["loss"], 0.25 * terms["id"])
