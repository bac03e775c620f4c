"""Attribute heads on f2: the balanced cross-entropies, their learned scales, and the controls."""

import numpy as np
import pytest
import torch
from small_frames import small_frames
from tiny_training import few_people, same_weights, trained
from torch.nn import functional as F

from auxreid.auxiliary.attribute_heads import AttributeHeads, balance
from auxreid.data.frames import open_frames
from auxreid.data.labels import write_labels
from auxreid.plumbing.base.errors import DataError

CODES = np.array([[0, 1, 0], [0, 0, 0], [2, -1, 0], [1, 1, 0]])  # of four identities; of the third attribute one word
COUNTS = (3, 2, 2)
LABELS = torch.tensor([0, 0, 2, 3, 1])
CONFIG = {"kind": "attribute_heads", "weight": 0.5, "scale": "sum", "level": "identity", "shuffled": False}


@pytest.fixture
def people(tmp_path):
    return few_people(tmp_path)


def features() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(len(LABELS), width, generator=generator) for width in (3, 4, 2))


def heads(learned: bool = False, codes: np.ndarray = CODES) -> AttributeHeads:
    torch.manual_seed(1)
    return AttributeHeads(4, codes, COUNTS, 0.5, learned)


@torch.no_grad()
def slowly(module: AttributeHeads, f2: torch.Tensor, labels: torch.Tensor, codes: np.ndarray) -> list[float]:
    """Each attribute's cross-entropy, image by image; without an image that is known, 0."""
    found = []
    for head, place in zip(module.heads, (0, 1), strict=True):
        having = [sum(codes[:, place] == word) for word in range(COUNTS[place])]
        words, known = sum(count > 0 for count in having), sum(having)
        total = weight = 0.0
        for feature, label in zip(f2, labels.tolist(), strict=True):
            code = codes[label, place]
            if code != -1:
                own = known / words / having[code]
                total -= own * float(F.log_softmax(head.weight @ feature + head.bias, dim=0)[code])
                weight += own
        found.append(total / weight if weight else 0.0)
    return found


def test_a_word_s_weight_is_inverse_to_who_has_it_with_mean_1():
    weights = balance(CODES[:, 0], 3)
    assert weights.tolist() == pytest.approx([4 / 3 / 2, 4 / 3, 4 / 3])
    assert weights[CODES[:, 0]].mean() == pytest.approx(1)
    assert balance(CODES[:, 1], 3).tolist() == pytest.approx([1.5, 0.75, 0])  # of three known words, one unheard of


@pytest.mark.parametrize("labels", [LABELS, torch.tensor([2, 2, 2, 2, 2])])  # of the last one, one word is unknown
def test_the_sum_of_cross_entropies_is_that_of_a_slow_loop(labels):
    module, given = heads(), features()
    with torch.no_grad():
        after, terms = module(given, (), labels)
    expected = sum(slowly(module, given[1], labels, CODES))
    assert float(terms["attributes"]) == pytest.approx(expected, rel=1e-5)
    assert float(terms["loss"]) == pytest.approx(0.5 * expected, rel=1e-5)
    assert after is given


@pytest.mark.parametrize("labels", [LABELS, torch.tensor([2, 2, 2, 2, 2])])
def test_learned_scales_weigh_by_their_variance(labels):
    module, given = heads(learned=True), features()
    module.log_variance.data = torch.tensor([0.4, -1.0])
    _, terms = module(given, (), labels)
    first, second = slowly(module, given[1], labels, CODES)
    expected = np.exp(-0.4) * first + 0.2 + (np.exp(1.0) * second - 0.5 if second else 0.0)
    assert terms["loss"].item() == pytest.approx(0.5 * expected, rel=1e-5)
    assert terms["attributes"].item() == pytest.approx(first + second, rel=1e-5)
    assert terms["attribute_scale"].item() == pytest.approx((np.exp(-0.4) + np.exp(1.0)) / 2)
    terms["loss"].backward()
    slopes = [0.5 - np.exp(-0.4) * first, 0.5 - np.exp(1.0) * second if second else 0.0]  # 0 at s = log 2 CE
    assert module.log_variance.grad.tolist() == pytest.approx([0.5 * slope for slope in slopes], rel=1e-5)


def test_images_have_words_of_their_own():
    """Image for image as identities of one image each, whatever identity they are said to be."""
    of_images, rows = (
        np.array([[0, 1, 0], [2, 0, 0], [0, -1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]]),
        np.array([5, 1, 1, 0]),
    )
    torch.manual_seed(1)
    module, given = AttributeHeads(4, of_images, COUNTS, 0.5, False, of_images=True), features()
    f2 = given[1][: len(rows)]
    observed = module.observe(given, {}, module.inputs(rows, []))
    with torch.no_grad():
        _, terms = module(tuple(one[: len(rows)] for one in given), observed, torch.zeros(len(rows), dtype=torch.int64))
    expected = sum(slowly(module, f2, torch.from_numpy(rows), of_images))
    assert float(terms["attributes"]) == pytest.approx(expected, rel=1e-5)
    assert heads().inputs(rows, []) == ()


def test_learned_scales_start_as_the_sum_does():
    given = features()
    (_, summed), (_, learned) = heads()(given, (), LABELS), heads(learned=True)(given, (), LABELS)
    torch.testing.assert_close(learned["loss"], summed["loss"])


def test_attributes_of_one_word_have_no_head_and_nothing_but_such_is_an_error():
    assert len(heads().heads) == 2
    with pytest.raises(DataError, match="no attribute has two words"):
        heads(codes=CODES[:, [2, 2, 2]])


@pytest.mark.parametrize("scale", ["sum", "uncertainty"])
def test_at_weight_0_the_encoder_is_trained_as_without_heads(people, scale):
    alone, _, _ = trained(people)
    beside, curve, module = trained(people, CONFIG | {"weight": 0.0, "scale": scale})
    assert same_weights(alone, beside) and all(means["attributes"] > 0 for means in curve)
    assert not same_weights(alone, trained(people, CONFIG | {"scale": scale})[0])
    assert len(module.heads) == 3


def test_learned_scales_learn(people):
    _, curve, module = trained(people, CONFIG | {"scale": "uncertainty"})
    assert (module.log_variance != 0).all() and curve[-1]["attribute_scale"] != 1


def test_words_of_images_are_predicted_ones(people, tmp_path):
    predicted = tmp_path / "labels.parquet"
    second = np.linspace(0.1, 0.9, len(people))
    write_labels(
        predicted, "other", {"hat": ("no", "yes")}, people.frame_id, {"hat": np.stack([1 - second, second], 1)}
    )
    whole = small_frames(tmp_path / "plain.arrow", people.identity)
    labelled = open_frames(tmp_path / "plain.arrow", 0, predicted).where("train")
    of_image = CONFIG | {"level": "image"}
    _, _, module = trained(labelled, of_image)
    assert module.codes[:, 0].tolist() == (second > 0.5).astype(int).tolist() and len(whole) == len(people)
    shuffled = trained(labelled, of_image | {"shuffled": True})[2].codes
    assert not torch.equal(module.codes, shuffled) and module.codes.sum() == shuffled.sum()
    with pytest.raises(DataError, match=r"frames\.arrow: its attributes are of individuals; predicted ones alone"):
        trained(people, of_image)


def test_shuffled_attributes_are_those_of_other_people(people):
    (_, _, true), (_, _, false) = trained(people, CONFIG), trained(people, CONFIG | {"shuffled": True})
    assert not torch.equal(true.codes, false.codes)
    assert sorted(map(tuple, true.codes.tolist())) == sorted(map(tuple, false.codes.tolist()))
