"""Sentences from attributes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auxreid.clip.captions import caption, dog_phrases, dog_subject, person_phrases, person_subject
from auxreid.data.vocabulary import DOG_ATTRIBUTES, PERSON_ATTRIBUTES


def words_or_none(vocabulary):
    return st.fixed_dictionaries({name: st.sampled_from([None, *words]) for name, words in vocabulary.items()})


def person(attributes):
    return caption(person_subject(attributes), person_phrases(attributes))


def dog(attributes):
    return caption(dog_subject(attributes), dog_phrases(attributes))


def test_worked_sentences():
    told = {"gender": "female", "age": "adult", "hair": "long", "up": "short", "upred": "yes", "upwhite": "yes"}
    told |= {"down": "long", "clothes": "pants", "downblue": "yes", "bag": "yes", "backpack": "no", "hat": "yes"}
    assert person(told) == (
        "a photo of an adult woman with long hair, wearing a red and white top with short sleeves, long blue pants "
        "and a hat, carrying a bag"
    )
    assert person({}) == "a photo of a person"
    assert person({"down": "short", "clothes": "pants", "downblack": "yes"}) == (
        "a photo of a person wearing black shorts"
    )
    assert person({"clothes": "dress", "down": "short", "downpink": "yes"}).endswith("wearing a short pink dress")
    large = {"size": "large", "color": "black", "ears": "drop", "coat": "long"}
    assert dog(large) == "a photo of a large black dog with drop ears and a long coat"
    assert dog({"color": "red_golden", "ears": "semi_erect"}) == "a photo of a red golden dog with semi-erect ears"


@pytest.mark.parametrize(("vocabulary", "sentence"), [(PERSON_ATTRIBUTES, person), (DOG_ATTRIBUTES, dog)])
def test_every_combination_is_well_formed(vocabulary, sentence):
    @given(words_or_none(vocabulary))
    def check(attributes):
        text = sentence(attributes)
        assert text.startswith("a photo of a")
        assert not re.search(r"  |,,| ,|_|None|\byes\b|\bno\b|, and|^ | $", text)
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text)

    check()


@given(words_or_none(PERSON_ATTRIBUTES))
def test_every_known_colour_is_told(attributes):
    told = person(attributes)
    for name, value in attributes.items():
        if value == "yes" and name.startswith("up"):
            assert name.removeprefix("up") in told
