"""The ways to one text per identity that `prompts` in params.yaml names."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transformer import TextTransformer

from auxreid.clip.text_tower import TextTower
from auxreid.clipreid.identity_attributes import IdentityAttributes
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.stage1 import text_features
from auxreid.clipreid.variants import (
    attribute_texts,
    centroids,
    contrastive_targets,
    encode_sentences,
    learner_sentences,
)
from auxreid.data.vocabulary import PERSON_ATTRIBUTES
from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.settings.rows import variant_needs_attributes

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
VARIANTS, ROWS = CONFIG.prompts, CONFIG.ablations
WOMAN = {"gender": "female", "age": "adult", "hair": "long", "up": "long", "down": "long", "clothes": "pants"}
WOMAN |= {"upred": "yes", "downblue": "yes"}
BAG = WOMAN | {"bag": "yes"}
WHITE = {name: word for name, word in WOMAN.items() if name != "downblue"} | {"downwhite": "yes"}


def attributes_of(*people: dict[str, str]) -> IdentityAttributes:
    """Market-1501's 27 columns of these people; what is not said is "no", or unknown."""
    codes = [
        [
            words.index(one[name]) if name in one else words.index("no") if "no" in words else -1
            for name, words in PERSON_ATTRIBUTES.items()
        ]
        for one in people
    ]
    return IdentityAttributes(tuple(PERSON_ATTRIBUTES), tuple(PERSON_ATTRIBUTES.values()), np.array(codes))


PEOPLE = attributes_of(WOMAN, BAG, WHITE, WOMAN)


@pytest.fixture(scope="module")
def text() -> TextTower:
    torch.manual_seed(0)
    model = TextTransformer(width=32, heads=2, layers=2, output_dim=8)
    model.init_parameters()
    return TextTower(model).eval()


# --- which variant a row has


def test_rows_name_the_variants_of_the_thesis():
    kinds = {row: None if body.prompts is None else VARIANTS[body.prompts].kind for row, body in ROWS.items()}
    assert kinds["visual_only"] == "random" and kinds["visual_only_corrected"] is None
    assert kinds["clip_reid"] == "learned" and VARIANTS[ROWS["clip_reid"].prompts].targets is None
    assert kinds["attribute_prompts"] == kinds["attribute_prompts_corrected"] == "attributes"
    for row in ("attribute_prompts", "attribute_prompts_corrected"):
        assert VARIANTS[ROWS[row].prompts].form == ROWS[row].form
    for row in ("attribute_smoothing_stage1", "attribute_smoothing_both"):
        assert VARIANTS[ROWS[row].prompts].targets == "attribute_share"
        assert VARIANTS[ROWS[f"{row}_corrected"].prompts].targets == "attribute_smoothing"
    for row, body in ROWS.items():
        if body.pose is not None:
            assert body.prompts == ROWS["clip_reid"].prompts, row
    twice = ROWS["clip_reid_twice"]
    assert twice.start == VARIANTS[twice.prompts].encoder == "clip_reid"
    assert VARIANTS[twice.prompts].model_dump() | {"encoder": None} == VARIANTS["learned"].model_dump()
    assert kinds["centroids"] == "centroids" and kinds["attribute_tokens"] == "attribute_tokens"


def test_variants_that_read_attributes():
    needy = {name for name, variant in VARIANTS.items() if variant_needs_attributes(variant)}
    assert needy == {
        *("learned_attribute_share", "learned_attribute_smoothing", "attribute_tokens"),
        *("attribute_sentences", "attribute_sentences_thesis"),
    }


# --- sentences


@pytest.mark.parametrize("name", ["learned", "random", "learned_twice", "learned_attribute_share"])
def test_learned_and_random_prompts_have_clip_reids_own_sentence(name):
    sentences = learner_sentences(VARIANTS[name], "person", 3, None)
    assert sentences == ["A photo of a X X X X person."] * 3


def test_the_number_of_tokens_is_a_parameter():
    variant = VARIANTS["learned"].model_copy(update={"tokens": 2})
    assert learner_sentences(variant, "dog", 1, None) == ["A photo of a X X dog."]


def test_attribute_sentences_by_hand_thesis_and_corrected():
    thesis = attribute_texts(VARIANTS["attribute_sentences_thesis"], "person", PEOPLE)
    woman = "A photo of an adult woman with long hair wearing red clothes with long sleeve and"
    assert thesis == [
        f"{woman} blue pants",
        f"{woman} blue pants",  # the bag is not read
        f"{woman} white pants carrying a bag",  # white trousers are
        f"{woman} blue pants",
    ]
    corrected = attribute_texts(VARIANTS["attribute_sentences"], "person", PEOPLE)
    woman = "A photo of an adult woman with long hair, wearing a red top with long sleeves and long"
    assert corrected == [
        f"{woman} blue pants.",
        f"{woman} blue pants, carrying a bag.",
        f"{woman} white pants.",
        f"{woman} blue pants.",
    ]


def test_attribute_tokens_have_the_words_and_the_places_one_sentence_per_identity():
    sentences = learner_sentences(VARIANTS["attribute_tokens"], "person", 4, PEOPLE)
    plain = attribute_texts(VARIANTS["attribute_sentences"], "person", PEOPLE)
    assert sentences == [f"{one.removesuffix('.')}: a X X X X person." for one in plain]


# --- texts


def test_encoded_sentences_are_the_towers_own_in_the_order_of_the_identities(text):
    sentences = ["a photo of a dog.", "a photo of a large black dog with drop ears.", "a photo of a dog.", "a cat."]
    for batch_size in (256, 2):
        found = encode_sentences(text, sentences, batch_size)
        for sentence, feature in zip(sentences, found, strict=True):
            with torch.no_grad():
                [expected] = text(open_clip.tokenize([sentence]))
            torch.testing.assert_close(feature, expected, atol=1e-5, rtol=1e-5)
        assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])
        assert found.shape == (4, 8) and not found.requires_grad


@pytest.mark.parametrize("form", ["thesis", "corrected"])
def test_identities_of_equal_sentences_have_equal_texts_to_the_bit(text, form):
    """Many, so that equal sentences would fall into different batches."""
    crowd = attributes_of(*[[WOMAN, BAG, WHITE][number % 3] for number in range(40)])
    variant = VARIANTS["attribute_sentences"].model_copy(update={"form": form})
    texts = encode_sentences(text, attribute_texts(variant, "person", crowd), batch_size=2)
    assert len(texts) == 40
    for kind in range(3):
        assert all(torch.equal(one, texts[kind]) for one in texts[kind::3])
    groups = torch.unique(texts, dim=0, return_inverse=True)[1].tolist()
    assert len(set(groups)) == (2 if form == "thesis" else 3)  # the thesis's sentence does not tell the bag


def test_learned_tokens_tell_equal_attributes_apart(text):
    torch.manual_seed(1)
    learner = PromptLearner(text, learner_sentences(VARIANTS["attribute_tokens"], "person", 4, PEOPLE))
    assert learner.learned.shape == (4, 4, 32)
    with torch.no_grad():
        learner.learned *= 50  # as far from each other as trained ones
    texts = text_features(text, learner)
    assert torch.unique(texts, dim=0).shape == (4, 8)
    with torch.no_grad():
        learner.learned[3] = learner.learned[0]  # of equal words
    texts = text_features(text, learner)
    assert torch.equal(texts[3], texts[0])


# --- targets of stage 1


def test_targets_of_a_batch_as_each_variant_asks_for_them():
    batch = torch.tensor([0, 2, 0, 1])
    # 27 columns, 3 unknown ones fewer; a woman and one with a bag differ in it alone, white trousers in two
    known = sum(1 for code in PEOPLE.codes[0] if code >= 0)
    share = [[1, 1 - 1 / known, 1 - 2 / known], [1 - 1 / known, 1, 1 - 3 / known], [1 - 2 / known, 1 - 3 / known, 1]]

    def rows(mass):
        table = [[mass(one, other) for other in batch.tolist()] for one in batch.tolist()]
        return torch.tensor([[value / sum(row) for value in row] for row in table])

    identity = rows(lambda one, other: float(one == other))
    others = rows(lambda one, other: share[one][other] * (one != other))
    expected = {
        "learned": identity,
        "learned_twice": identity,
        "attribute_tokens": identity,
        "learned_attribute_share": rows(lambda one, other: (float(one == other) + share[one][other]) / 2),
        "learned_attribute_smoothing": 0.9 * identity + 0.1 * others,
    }
    for name, targets in expected.items():
        variant = VARIANTS[name]
        found = contrastive_targets(variant, PEOPLE if variant_needs_attributes(variant) else None)(batch)
        torch.testing.assert_close(found, targets, msg=lambda text, name=name: f"{name}: {text}")


# --- centroids


def test_centroids_are_the_mean_features_of_the_identities():
    rng = np.random.default_rng(0)
    features, classes = rng.normal(size=(12, 5)).astype(np.float32), np.array([2, 0, 1, 2, 2, 0, 3, 3, 1, 2, 0, 0])
    found = centroids(torch.from_numpy(features), classes)
    assert found.shape == (4, 5)
    for identity in range(4):
        of_it = [features[row] for row in range(12) if classes[row] == identity]
        np.testing.assert_allclose(found[identity], sum(of_it) / len(of_it), rtol=1e-5, atol=1e-6)
