"""Descriptions in English and Russian, and what is understood of them."""

import pytest

from auxreid.data.vocabulary import DOG_ATTRIBUTES
from auxreid.search.words.understand import stated, understand


def said(text):
    """By attribute: words, and those that are excluded with a minus."""
    found = stated(understand(text, DOG_ATTRIBUTES))
    return {name: " ".join([*one.words, *(f"-{word}" for word in one.excluded)]) for name, one in found.items()}


@pytest.mark.parametrize(
    "text",
    [
        "small white dog with erect ears, long coat, red collar",
        "маленькая белая собака со стоячими ушами, длинная шерсть, без ошейника",
    ],
)
def test_each_adjective_tells_an_attribute_of_what_it_stands_with(text):
    assert said(text) == {"size": "small", "color": "white", "ears": "erect", "coat": "long"}
