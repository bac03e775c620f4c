"""The tables of stage 2 that each row of params.yaml asks for, and what its loss makes of them, in literal loops."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from params import finetune_settings
from small_frames import small_frames

from auxreid.clipreid.stage2_losses import Stage2Losses, Supervision
from auxreid.clipreid.supervision import build_supervision
from auxreid.clipreid.training_set import training_set
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.settings.rows import AblationConfig

ROWS = load_config(Path(__file__).parent.parent / "params.yaml").ablations
VOCABULARY = {"hat": ("no", "yes"), "hair": ("short", "long"), "age": ("young", "adult", "old"), "bag": ("no", "yes")}
PEOPLE = [("no", "long", "adult", "no"), ("no", "long", "adult", "no"), ("yes", "long", "adult", "no")]
PEOPLE += [("yes", "short", "old", "yes"), ("no", "long", "old", "no")]  # the first two are alike in all
SHARES = [
    [1, 1, 3 / 4, 0, 3 / 4],
    [1, 1, 3 / 4, 0, 3 / 4],
    [3 / 4, 3 / 4, 1, 1 / 4, 2 / 4],
    [0, 0, 1 / 4, 1, 1 / 4],
    [3 / 4, 3 / 4, 2 / 4, 1 / 4, 1],
]
K = len(PEOPLE)
TEXTS = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))[[0, 0, 1, 2, 0]]  # 0, 1 and 4 share a text
SETTINGS = finetune_settings(
    **{"epochs": 1, "identities": 2, "instances": 2, "lr": 1e-3, "weight_decay": 0.0, "milestones": []},
    **{"warmup_epochs": 0, "warmup_factor": 1.0, "w_id": 1.0},
)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Frames and classes of the five people, two frames each."""
    path = tmp_path_factory.mktemp("supervision") / "frames.arrow"
    words = {number + 1: dict(zip(VOCABULARY, known, strict=True)) for number, known in enumerate(PEOPLE)}
    small_frames(path, [n for n in words for _ in range(2)], vocabulary=VOCABULARY, words=words)
    return training_set(path, 0)[:2]


def supervision_of(training, row: str | AblationConfig) -> Supervision:
    body = ROWS[row] if isinstance(row, str) else row
    return build_supervision(*training, None if body.prompts is None else TEXTS, body)


def literal_table(row: str) -> list[list[float]]:
    """The targets of a row's cross-entropies, one row per person."""
    if row == "attribute_smoothing_both":
        return SHARES
    if row == "clip_reid":
        return [[0.9 * (other == one) + 0.1 / K for other in range(K)] for one in range(K)]
    epsilon, table = ROWS[row].epsilon, []
    for one in range(K):
        others = [share if other != one else 0.0 for other, share in enumerate(SHARES[one])]
        table.append([epsilon * share / sum(others) for share in others])
        table[one][one] = 1 - epsilon
    return table


# --- which tables


@pytest.mark.parametrize(
    "row",
    [
        row
        for row, body in ROWS.items()
        if body.auxiliary is None
        and body.rank is None
        and not row.startswith(("attribute_prompts_c", "attribute_smoothing_both"))
    ],
)
def test_most_rows_replace_nothing_and_need_no_attributes(row):
    found = build_supervision(None, np.arange(K), None if ROWS[row].prompts is None else TEXTS, ROWS[row])
    assert found.id_targets is None and found.text_targets is None and found.positives is None
    assert found.text_classes is None
    assert (found.texts is None) == (row in ("visual_only_corrected", "from_image_weights", "stride_one"))


def test_thesis_smoothing_in_both_stages_takes_the_bare_shares_and_pulls_equals_together(training):
    found = supervision_of(training, "attribute_smoothing_both")
    torch.testing.assert_close(found.id_targets, torch.tensor(SHARES))
    torch.testing.assert_close(found.text_targets, torch.tensor(SHARES))
    groups = found.positives.tolist()
    assert groups[0] == groups[1] and len(set(groups)) == 4
    assert found.texts is TEXTS


def test_corrected_smoothing_in_both_stages_normalises_and_keeps_the_identities_apart(training):
    row = ROWS["attribute_smoothing_both_corrected"]
    found = supervision_of(training, row)
    assert found.positives is None
    for table in (found.id_targets, found.text_targets):
        torch.testing.assert_close(table, torch.tensor(literal_table("attribute_smoothing_both_corrected")))
    larger = supervision_of(training, row.model_copy(update={"epsilon": 0.4}))
    assert larger.id_targets.diagonal().tolist() == pytest.approx([0.6] * K)


def test_identities_of_equal_text_are_one_class_of_the_text_loss_alone(training):
    found = supervision_of(training, "attribute_prompts_corrected")
    assert found.id_targets is None and found.positives is None  # people of one text stay different people
    assert found.text_targets is None and found.texts.shape == (3, 4)
    assert torch.equal(found.texts[found.text_classes], TEXTS)
    assert supervision_of(training, "attribute_prompts").text_classes is None  # the thesis tells them apart


def test_a_data_set_without_attributes_is_an_error(tmp_path):
    frames = small_frames(tmp_path / "frames.arrow", [1, 2])
    for row in ("attribute_smoothing_both", "attribute_smoothing_both_corrected"):
        with pytest.raises(DataError, match="none of 2 training frames has an attribute"):
            supervision_of((frames, np.arange(2)), row)


# --- what the loss makes of them


def literal_cross_entropy(logits: torch.Tensor, classes: list[int], table) -> float:
    """mean over i of -sum_k q_k log softmax_k"""
    total = 0.0
    for scores, one in zip(logits.tolist(), classes, strict=True):
        z = math.log(sum(math.exp(score) for score in scores))
        total -= sum(q * (score - z) for q, score in zip(table[one], scores, strict=True))
    return total / len(classes)


def literal_triplet(features: torch.Tensor, groups: list[int], margin: float) -> float:
    """Farthest of the same group, closest of the others; nothing for an anchor whose batch has no other group."""
    losses = []
    for a, group in enumerate(groups):
        d = [float((features[a] - other).norm()) for other in features]
        negatives = [d[n] for n, other in enumerate(groups) if other != group]
        positives = [d[p] for p, other in enumerate(groups) if other == group]
        losses.append(max(margin + max(positives) - min(negatives), 0.0) if negatives else 0.0)
    return sum(losses) / len(losses)


def random_features(seed: int, b: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(b, d, generator=generator) for d in (3, 5, 4))


@pytest.mark.parametrize("row", ["attribute_smoothing_both", "attribute_smoothing_both_corrected", "clip_reid"])
@given(seed=st.integers(0, 2**31), classes=st.lists(st.integers(0, K - 1), min_size=2, max_size=8))
def test_the_whole_loss_equals_literal_loops(training, row, seed, classes):
    supervision = supervision_of(training, row)
    torch.manual_seed(seed)
    losses = Stage2Losses((3, 5, 4), K, supervision, SETTINGS)
    features = random_features(seed, len(classes))
    terms = losses(features, torch.tensor(classes))
    table = literal_table(row)
    groups = [[0, 0, 2, 3, 4][one] for one in classes] if row == "attribute_smoothing_both" else classes
    ids = 0.0
    for f, neck in zip(features[1:], losses.necks, strict=True):
        centred = (f - f.mean(0)) / (f.var(0, unbiased=False) + 1e-5).sqrt()
        ids += literal_cross_entropy(centred @ neck.classifier.weight.T, classes, table)
    triplets = sum(literal_triplet(f, groups, 0.3) for f in features)
    texts = literal_cross_entropy(features[2] @ TEXTS.T, classes, table)
    found = {name: value.item() for name, value in terms.items()}
    assert found == pytest.approx(
        {"id": ids, "triplet": triplets, "i2t": texts, "loss": ids + triplets + texts}, rel=1e-4, abs=1e-4
    )


@pytest.mark.parametrize("row", ["attribute_smoothing_both", "attribute_smoothing_both_corrected"])
def test_people_of_equal_attributes_are_pulled_together_in_the_thesis_form_alone(training, row):
    """Persons 0 and 1 are alike; at 0.2 from each other they are too close for the margin, 3 stands beyond."""
    places = torch.tensor([[0.0], [0.01], [0.2], [0.21], [0.45], [0.46]], requires_grad=True)
    losses = Stage2Losses((1, 1, 4), K, supervision_of(training, row), SETTINGS)
    still = torch.zeros(6, 1), torch.zeros(6, 4)
    losses((places, *still), torch.tensor([0, 0, 1, 1, 3, 3]))["triplet"].backward()
    apart = (places.grad[2:4].mean() - places.grad[:2].mean()).item()  # the loss's growth with their distance
    assert (apart > 0.01) if row == "attribute_smoothing_both" else (apart < -0.01)


@given(seed=st.integers(0, 2**31), classes=st.lists(st.integers(0, K - 1), min_size=2, max_size=8))
def test_text_loss_of_shared_texts_counts_each_text_once(training, seed, classes):
    losses = Stage2Losses((3, 5, 4), K, supervision_of(training, "attribute_prompts_corrected"), SETTINGS)
    features = random_features(seed, len(classes))
    found = losses(features, torch.tensor(classes))["i2t"].item()
    distinct, place = TEXTS[[0, 2, 3]], [0, 0, 1, 2, 0]
    smoothed = [[0.9 * (other == one) + 0.1 / 3 for other in range(3)] for one in range(3)]
    expected = literal_cross_entropy(features[2] @ distinct.T, [place[one] for one in classes], smoothed)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("row", "floor"), [("attribute_prompts", math.log(3)), ("attribute_prompts_corrected", 0.0)])
def test_an_image_that_fits_its_text_perfectly_is_still_wrong_in_the_thesis_form(training, row, floor):
    """Persons 0, 1 and 4 have one text: in the thesis's form its other two copies count as wrong."""
    settings = SETTINGS.model_copy(update={"smoothing": 0.0})
    losses = Stage2Losses((3, 5, 4), K, supervision_of(training, row), settings)
    fitting = torch.linalg.lstsq(TEXTS[[0, 2, 3]], torch.tensor([[50.0], [0.0], [0.0]])).solution.T  # [1, 4]
    features = torch.zeros(2, 3), torch.zeros(2, 5), fitting.expand(2, 4)
    assert losses(features, torch.tensor([0, 4]))["i2t"].item() == pytest.approx(floor, abs=1e-4)


def test_identity_and_text_loss_each_read_their_own_targets(training):
    row = ROWS["attribute_smoothing_both"].model_copy(update={"text_targets": "attribute_smoothing", "epsilon": 0.1})
    torch.manual_seed(0)
    losses, features = Stage2Losses((3, 5, 4), K, supervision_of(training, row), SETTINGS), random_features(0, 6)
    classes = [0, 1, 2, 3, 4, 0]
    terms = losses(features, torch.tensor(classes))
    corrected = literal_table("attribute_smoothing_both_corrected")
    assert terms["i2t"].item() == pytest.approx(
        literal_cross_entropy(features[2] @ TEXTS.T, classes, corrected), rel=1e-4
    )
    other = Stage2Losses((3, 5, 4), K, supervision_of(training, "attribute_smoothing_both"), SETTINGS)
    other.necks.load_state_dict(losses.necks.state_dict())
    again = other(features, torch.tensor(classes))
    torch.testing.assert_close(again["id"], terms["id"])
    assert abs(again["i2t"] - terms["i2t"]) > 0.1
