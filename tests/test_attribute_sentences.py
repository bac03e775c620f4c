"""Sentences of attributes: worked examples, every combination read back, and the room that CLIP has for them."""

import re
from itertools import product

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer
from sentence_grammar import article_faults, dogs, people, read_dog, read_person, visible

from auxreid.clipreid.attribute_sentences import (
    sentence,
    thesis_sentence,
    tokens_sentence,
)
from auxreid.clipreid.placeholders import PLACEHOLDER_TOKEN, placeholder_places
from auxreid.data.vocabulary import DOG_ATTRIBUTES, DOG_TELLING, PERSON_ATTRIBUTES, Told

WOMAN = {name: "no" for name, words in PERSON_ATTRIBUTES.items() if words == ("no", "yes")} | {
    **{"gender": "female", "age": "adult", "hair": "long", "up": "long", "upred": "yes"},
    **{"down": "long", "clothes": "pants", "downblue": "yes"},
}
DOG = {"size": "large", "color": "black", "ears": "drop", "coat": "long"}
ENCODE = SimpleTokenizer().encode


def all_dogs():
    for words in product(*([None, *words] for words in DOG_ATTRIBUTES.values())):
        yield dict(zip(DOG_ATTRIBUTES, words, strict=True))


def crowded_people():
    """Every person of whom all that can be there is there."""
    kinds = {name: words for name, words in PERSON_ATTRIBUTES.items() if words != ("no", "yes")}
    for words in product(*kinds.values()):
        yield dict.fromkeys(PERSON_ATTRIBUTES, "yes") | dict(zip(kinds, words, strict=True))


def longest_dog():
    """Of each attribute the word with the most tokens."""
    return {
        name: max(words, key=lambda word: len(ENCODE(of_dogs({name: word})))) for name, words in DOG_ATTRIBUTES.items()
    }


def of_dogs(attributes, word="dog"):
    return sentence(attributes, word, DOG_TELLING)


def tokens_of_four(attributes, word):
    return tokens_sentence(attributes, word, 4, TELLINGS[word])


TELLINGS = {"person": (), "dog": DOG_TELLING}


# -------------------------------------------------------------------------------------------------------------- thesis


def test_thesis_sentence_as_its_author_ran_it():
    bag_by_white_trousers = WOMAN | {"downwhite": "yes", "downblue": "no"}
    start = "A photo of an adult woman with long hair wearing red clothes with long sleeve and"
    assert thesis_sentence(WOMAN, "person") == f"{start} blue pants"
    assert thesis_sentence(bag_by_white_trousers, "person") == f"{start} white pants carrying a bag"
    assert thesis_sentence(bag_by_white_trousers | {"bag": "no"}, "person").endswith("carrying a bag")
    assert thesis_sentence(WOMAN | {"bag": "yes"}, "person") == f"{start} blue pants"  # its own column


def test_thesis_sentence_of_several_and_of_no_colours_and_of_unknown_attributes():
    several = WOMAN | {"upwhite": "yes", "downblue": "no", "clothes": "dress"}
    assert thesis_sentence(several, "person") == (
        "A photo of an adult woman with long hair wearing white and red clothes with long sleeve and dress"
    )
    assert thesis_sentence({}, "person") == "A photo of a person"
    assert thesis_sentence({"up": "short"}, "person") == "A photo of a person wearing clothes with short sleeve"
    assert thesis_sentence({"downgray": "yes"}, "person") == "A photo of a person wearing gray bottoms"


@given(people())
def test_thesis_sentence_tells_what_its_template_reads_and_nothing_else(attributes):
    text = thesis_sentence(attributes, "person")
    assert not article_faults(text)
    assert not re.search(r"  | $|None|(with|and|wearing|carrying|of)$|wearing and|and and", text)
    upper, _, lower = text.partition("clothes") if "clothes" in text else ("", "", text)
    for colour in ("black", "white", "red", "purple", "yellow", "gray", "blue", "green"):
        assert (colour in upper.split("wearing")[-1]) == (attributes[f"up{colour}"] == "yes")
    for colour in ("black", "white", "pink", "purple", "yellow", "gray", "blue", "green", "brown"):
        assert (colour in lower.split("sleeve")[-1]) == (attributes[f"down{colour}"] == "yes")
    assert text.endswith(" carrying a bag") == (attributes["downwhite"] == "yes")
    for kind in ("dress", "pants"):
        assert (kind in text) == (attributes["clothes"] == kind)
    unread = dict.fromkeys(("hat", "backpack", "bag", "handbag", "down"))
    assert thesis_sentence(attributes | unread, "person") == text


# ----------------------------------------------------------------------------------------------------------- corrected


def test_worked_sentences():
    assert of_dogs(DOG) == "A photo of a large black dog with drop ears and a long coat."
    assert of_dogs({}) == of_dogs(dict.fromkeys(DOG_ATTRIBUTES)) == "A photo of a dog."
    assert sentence({}, "person") == sentence(dict.fromkeys(PERSON_ATTRIBUTES), "person") == "A photo of a person."
    carrying = WOMAN | {"bag": "yes", "downwhite": "yes"}
    assert sentence(carrying, "person") == (
        "A photo of an adult woman with long hair, wearing a red top with long sleeves and long white and blue pants, "
        "carrying a bag."
    )


@given(people())
def test_people_are_told_as_they_are(attributes):
    text = sentence(attributes, "person")
    assert text.endswith(".") and read_person(text[:-1]) == visible(attributes)
    assert not article_faults(text)


@given(people(), st.data())
def test_sentences_of_people_differ_where_anything_visible_does(attributes, data):
    name = data.draw(st.sampled_from(list(PERSON_ATTRIBUTES)))
    other = attributes | {name: data.draw(st.sampled_from([None, *PERSON_ATTRIBUTES[name]]))}
    equal = sentence(attributes, "person") == sentence(other, "person")
    assert equal == (visible(attributes) == visible(other))


def test_all_dogs_are_told_as_they_are_each_in_a_sentence_of_its_own():
    texts = set()
    for attributes in all_dogs():
        text = of_dogs(attributes)
        assert text.endswith(".") and read_dog(text[:-1]) == visible(attributes)
        assert not article_faults(text)
        texts.add(text)
    assert len(texts) == 9 * 4 * 4 * 4 * 4 * 6


@pytest.mark.parametrize(
    ("make", "attributes", "message"),
    [
        (thesis_sentence, DOG, r"attribute 'size', allowed: gender, hair"),
        (of_dogs, {"size": "large", "hat": "yes"}, r"attribute 'hat', allowed: size, color"),
        (sentence, {"tail": "long"}, r"attribute 'tail', allowed: gender"),
        (of_dogs, {"ears": "red"}, r"attribute ears is 'red', allowed: erect, semi_erect, drop"),
        (thesis_sentence, {"hat": "maybe"}, r"attribute hat is 'maybe', allowed: no, yes"),
    ],
)
def test_what_cannot_be_told_is_named(make, attributes, message):
    with pytest.raises(ValueError, match=message):
        make(attributes, "dog")


# -------------------------------------------------------------------------------------------------------------- tokens


def test_learned_tokens_follow_the_attributes():
    told = "A photo of a large black dog with drop ears and a long coat"
    assert tokens_of_four(DOG, "dog") == f"{told}: a X X X X dog."
    assert tokens_sentence({"age": "old"}, "person", 1) == "A photo of an old person: a X person."
    assert tokens_sentence({"hat": "no"}, "person", 4) == "A photo of a X X X X person."  # CLIP-ReID's own
    with pytest.raises(ValueError, match="0 placeholders"):
        tokens_sentence(DOG, "dog", 0, DOG_TELLING)


@given(people(), dogs(), st.integers(1, 4))
def test_placeholders_are_found_behind_the_attributes(human, animal, count):
    for attributes, word in ((human, "person"), (animal, "dog")):
        text = tokens_sentence(attributes, word, count, TELLINGS[word])
        told, learned, tail = re.fullmatch(r"(.*?):? ?(?:A photo of )?a ((?:X )+)(\w+\.)", text).groups()
        assert f"{told or f'A photo of a {word}'}." == sentence(attributes, word, TELLINGS[word])
        assert learned == "X " * count and tail == f"{word}."
        tokens = open_clip.tokenize(text)[0]
        places = placeholder_places(tokens)
        end = tokens.tolist().index(49407)
        assert places == list(range(end - 2 - count, end - 2))  # before the word, the full stop and the end


def test_the_placeholder_is_one_token_and_part_of_no_attribute():
    assert ENCODE("X") == [PLACEHOLDER_TOKEN]
    for attributes in crowded_people():
        assert PLACEHOLDER_TOKEN not in ENCODE(sentence(attributes, "person"))
    for text in {of_dogs({name: word}) for name, words in DOG_ATTRIBUTES.items() for word in words}:
        assert PLACEHOLDER_TOKEN not in ENCODE(text)


def test_tokens_without_one_run_of_placeholders_or_cut_off_are_refused():
    with pytest.raises(ValueError, match=r"stand at \[\]"):
        placeholder_places(open_clip.tokenize(of_dogs(DOG))[0])
    with pytest.raises(ValueError, match=r"stand at \[4\], expected a run behind an article"):
        placeholder_places(open_clip.tokenize("A photo of X dog.")[0])
    longest = max((tokens_sentence(one, "person", 7) for one in crowded_people()), key=lambda text: len(ENCODE(text)))
    with pytest.raises(ValueError, match="cut off at 77 tokens"):
        placeholder_places(open_clip.tokenize(longest)[0])


def test_words_whose_end_reads_as_a_placeholder_take_no_place_of_it():
    """CLIP's vocabulary splits "oryx" into two parts, of which the other is that of X."""
    telling = (Told("breed", ("manx", "x-shaped")), Told("tail", ("no", "yes"), "a x"))
    for attributes in ({}, {"breed": "manx"}, {"breed": "x-shaped", "tail": "yes"}):
        tokens = open_clip.tokenize(tokens_sentence(attributes, "oryx", 4, telling))[0]
        end = tokens.tolist().index(49407)
        assert ENCODE("oryx")[-1] == PLACEHOLDER_TOKEN and len(ENCODE("oryx")) == 2
        assert placeholder_places(tokens) == list(range(end - 7, end - 3))


# ---------------------------------------------------------------------------------------------------------------- room


def assert_fits(texts):
    """Tokenising loses nothing: start, all of the text's tokens and end are there."""
    tokens = open_clip.tokenize(texts)  # [n, 77], zeros behind the end
    lengths = torch.tensor([len(ENCODE(text)) + 2 for text in texts])
    assert torch.equal((tokens != 0).sum(dim=1), lengths) and lengths.max() <= 77


def test_the_most_crowded_sentences_fit_into_clips_context():
    for make in (thesis_sentence, sentence, tokens_of_four):
        assert_fits([make(attributes, "person") for attributes in crowded_people()])


def test_the_longest_dog_fits_into_clips_context():
    assert_fits([make(longest_dog(), "dog") for make in (of_dogs, tokens_of_four)])


@given(people(), dogs())
def test_nobody_is_longer_than_the_most_crowded(human, animal):
    """What is not there shortens a sentence, so that the tests above are about the longest."""
    crowded = {name: "yes" if word == "no" else word or PERSON_ATTRIBUTES[name][-1] for name, word in human.items()}
    for make in (thesis_sentence, sentence, tokens_of_four):
        assert len(ENCODE(make(human, "person"))) <= len(ENCODE(make(crowded, "person")))
    for make in (of_dogs, tokens_of_four):
        assert len(ENCODE(make(animal, "dog"))) <= len(ENCODE(make(longest_dog(), "dog")))
