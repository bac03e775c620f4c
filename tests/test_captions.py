"""Phrases from attributes, read back word by word by a grammar of the test's own."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_grammar import article_faults, dogs, people, read_dog, read_person, visible

from auxreid.clip.captions import (
    animal_phrases,
    animal_subject,
    caption,
    enumerate_parts,
    person_phrases,
    person_subject,
    with_article,
)
from auxreid.data.vocabulary import DOG_ATTRIBUTES, DOG_TELLING


def person(attributes):
    return caption(person_subject(attributes), person_phrases(attributes))


def dog(attributes):
    return caption(animal_subject(attributes, "dog", DOG_TELLING), animal_phrases(attributes, DOG_TELLING))


def test_worked_sentences_of_people():
    told = {"gender": "female", "age": "adult", "hair": "long", "up": "short", "upred": "yes", "upwhite": "yes"}
    told |= {"down": "long", "clothes": "pants", "downblue": "yes", "bag": "yes", "backpack": "no", "hat": "yes"}
    assert person(told) == (
        "a photo of an adult woman with long hair, wearing a white and red top with short sleeves, long blue pants "
        "and a hat, carrying a bag"
    )
    assert person({}) == "a photo of a person"
    assert person({"age": "old"}) == "a photo of an old person"
    assert person({"age": "teenager", "gender": "male"}) == "a photo of a teenage boy"
    assert person({"age": "teenager"}) == "a photo of a teenage person"
    assert person({"up": "long", "hat": "yes"}) == "a photo of a person wearing a top with long sleeves and a hat"
    assert person({"backpack": "yes", "bag": "yes", "handbag": "yes"}).endswith("a backpack, a bag and a handbag")


@pytest.mark.parametrize(
    ("down", "clothes", "worn"),
    [
        ("short", "pants", "pink shorts"),
        ("long", "pants", "long pink pants"),
        (None, "pants", "pink pants"),
        ("short", "dress", "a short pink dress"),
        (None, "dress", "a pink dress"),
        ("short", None, "short pink bottoms"),  # a dress may be short too: nothing is said that is not known
        (None, None, "pink bottoms"),
    ],
)
def test_lower_clothing(down, clothes, worn):
    attributes = {"down": down, "clothes": clothes, "downpink": "yes"}
    assert person(attributes) == f"a photo of a person wearing {worn}"


def test_worked_sentences_of_dogs():
    large = {"size": "large", "color": "black", "ears": "drop", "coat": "long"}
    assert dog(large) == "a photo of a large black dog with drop ears and a long coat"
    assert dog({}) == "a photo of a dog"
    assert dog({"color": "red_golden", "ears": "semi_erect"}) == "a photo of a red or golden dog with semi-erect ears"
    medium = {"size": "medium", "color": "multicolor", "leg_length": "medium", "muzzle": "medium", "coat": "wire"}
    assert dog(medium) == (
        "a photo of a medium-sized multicoloured dog with medium-length legs, a medium-length muzzle and a wiry coat"
    )


def test_enumeration_and_articles():
    assert [enumerate_parts(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert [with_article(words) for words in ("old man", "adult", "hat")] == ["an old man", "an adult", "a hat"]


@given(people(), st.randoms(use_true_random=False))
def test_people_are_told_as_they_are_in_any_order_of_the_columns(attributes, random):
    text = person(attributes)
    assert read_person(text) == visible(attributes)
    assert not article_faults(text)
    shuffled = random.sample(list(attributes.items()), len(attributes))
    assert person(dict(shuffled)) == text


def test_every_shape_of_a_persons_caption_is_told_and_read_back():
    """Nothing, one, two and three of all that is listed, with and without all that stands beside it."""
    upper, lower = ("upblack", "upred", "upblue"), ("downwhite", "downpink", "downbrown")
    lists = product(*(range(4) for _ in range(3)))
    words = {"up": [None, "long", "short"], "down": [None, "long", "short"], "clothes": [None, "dress", "pants"]}
    words |= {"hat": [None, "yes"], "hair": [None, "short"], "age": [None, "old"]}
    shapes = [dict(zip(words, one, strict=True)) for one in product(*words.values())]
    for (ups, downs, carried), shape in product(lists, shapes):
        names = (*upper[:ups], *lower[:downs], *("backpack", "bag", "handbag")[:carried])
        attributes = shape | dict.fromkeys(names, "yes")
        text = person(attributes)
        assert read_person(text) == visible(attributes)
        assert not article_faults(text)


def test_all_dogs_are_told_as_they_are():
    texts = set()
    for words in product(*([None, *words] for words in DOG_ATTRIBUTES.values())):
        attributes = dict(zip(DOG_ATTRIBUTES, words, strict=True))
        text = dog(attributes)
        assert read_dog(text) == visible(attributes)
        assert not article_faults(text)
        texts.add(text)
    assert len(texts) == 9 * 4 * 4 * 4 * 4 * 6  # no two dogs share a sentence


@given(dogs(), people(), st.data())
def test_captions_with_phrases_left_out_stay_well_formed(animal, human, data):
    for subject, phrases in (
        (animal_subject(animal, "dog", DOG_TELLING), animal_phrases(animal, DOG_TELLING)),
        (person_subject(human), person_phrases(human)),
    ):
        kept = [phrase for phrase in phrases if data.draw(st.booleans())]
        text = caption(subject, kept)
        assert not article_faults(text)
        assert not re.search(r"  |,,| ,|_|None|\byes\b|\bno\b|, and|^ | $|(with|and|wearing|carrying|,)$", text)
