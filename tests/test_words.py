"""Descriptions in English and Russian, and what is understood of them."""

import pytest
from descriptions import ENGLISH, RUSSIAN

from auxreid.data.vocabulary import DOG_ATTRIBUTES
from auxreid.search.words.understand import stated, understand


def said(text):
    """By attribute: words, and those that are excluded with a minus."""
    found = stated(understand(text, DOG_ATTRIBUTES))
    return {name: {*one.words, *(f"-{word}" for word in one.excluded)} for name, one in found.items()}


def expected(line):
    return {name: set(words.split("|")) for name, words in (part.split(":") for part in line.split())}


@pytest.mark.parametrize("text, states", [*ENGLISH.items(), *RUSSIAN.items()])
def test_a_description_states(text, states):
    assert said(text) == expected(states)
