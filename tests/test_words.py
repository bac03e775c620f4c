"""Descriptions in English and Russian, and what is understood of them."""

import sys
from itertools import product
from random import Random

import pytest
from descriptions import ENGLISH, RUSSIAN
from hypothesis import given
from hypothesis import strategies as st

from auxreid.data.vocabulary import DOG_ATTRIBUTES, Told, words_of
from auxreid.search.stated import Stated
from auxreid.search.words.building import lexicon_for, read_entries
from auxreid.search.words.describe import describe
from auxreid.search.words.lexicon import Hint, Value
from auxreid.search.words.russian import adjective
from auxreid.search.words.understand import stated, understand

LEXICON = lexicon_for(DOG_ATTRIBUTES)
FORMS = sorted(" ".join(key) for key in LEXICON.meanings)
CAT = (
    Told("pattern", ("solid", "tabby")),
    Told("color", ("black", "white", "red_golden"), spoken={"red_golden": "ginger"}),
    Told("eyes", ("green", "blue", "odd"), "eyes", {"odd": "odd-coloured"}),
    Told("fur", ("short", "long"), "a coat"),
    Told("tail", ("no", "yes"), "a tail"),
)


def said(text, vocabulary=DOG_ATTRIBUTES, lexicon=None):
    """By attribute: words, and those that are excluded with a minus."""
    found = stated(understand(text, vocabulary, lexicon))
    return {name: {*one.words, *(f"-{word}" for word in one.excluded)} for name, one in found.items()}


def expected(line):
    return {name: set(words.split("|")) for name, words in (part.split(":") for part in line.split())}


def told(text):
    """Phrases as they were written, with their notes."""
    return {phrase.text: phrase.note for phrase in understand(text, DOG_ATTRIBUTES)}


@pytest.mark.parametrize("text, states", [*ENGLISH.items(), *RUSSIAN.items()])
def test_a_description_states(text, states):
    assert said(text) == expected(states)


# how it is told


def test_each_phrase_stands_where_it_says_and_tells_what_was_made_of_it():
    phrases = understand("Small white dog, no long coat, red collar", DOG_ATTRIBUTES)
    assert [(one.text, one.start, one.attribute, one.words, one.negated) for one in phrases] == [
        ("Small", 0, "size", ("small",), False),
        ("white", 6, "color", ("white",), False),
        ("no long coat", 17, "coat", ("long",), True),
        ("red collar", 31, None, (), False),
    ]
    assert stated(phrases)["coat"] == Stated((), ("long",))


@pytest.mark.parametrize(
    "text, phrase, note",
    [
        ("red collar", "red collar", "not an attribute that is known"),
        ("xyzzy foo, white", "xyzzy foo", "not understood"),
        ("a samoyed", "samoyed", "breeds are not used"),
        ("старая овчарка", "овчарка", "породы не учитываются"),
        ("black muzzle", "black muzzle", "the colour of a part is not the animal's: not used"),
        ("maybe white", "white", "said with doubt"),
        ("наверное, белая", "белая", ""),  # a comma ends what the doubt is about
        ("наверное белая", "белая", "сказано с сомнением"),
        ("small dog. Large!", "Large", "“small” and “Large” exclude each other: not used"),
        ("long", "long", "not said of which part"),
        ("ears", "ears", "nothing that is known is said of it"),
        ("not cream", "not cream", "not exact enough to exclude white, red_golden: not used"),
        ("one ear drop", "ear drop", "of one of the two alone: not used"),
        ("whitee dog", "whitee", "not understood"),
        ("висячии уши", "висячии уши", "понято как «висячие»"),
        ("tail of 20 cm", "20 cm", "a length, not said to be the height: not used"),
        ("вес 30 кг", "30 кг", "до 13 кг small, до 27 кг medium, больше large"),
        ("white, not white", "white", "“white” is said, and denied: not used"),
        ("an old dog", "old", "sex and age are not used"),
        ("dark", "dark", "not an attribute that is known"),
    ],
)
def test_what_is_not_used_says_why_in_the_language_of_the_description(text, phrase, note):
    assert told(text)[phrase] == note


def test_nothing_is_made_of_words_that_are_not_understood():
    for text in ("Lorem ipsum dolor sit amet", "съешь ещё этих мягких французских булок", "12345 !!! @@@", "🐕🐕"):
        assert said(text) == {}


# every word, in both languages


@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_is_described_is_understood(language):
    dogs = [*product(*([None, *words] for words in DOG_ATTRIBUTES.values()))]
    some = Random(0).sample(dogs, 400)
    single = [{name: word} for name, words in DOG_ATTRIBUTES.items() for word in words]
    for turn in range(6):
        for words in [*single, *(dict(zip(DOG_ATTRIBUTES, one, strict=True)) for one in some)]:
            text = describe(words, language, turn)
            known = {name: Stated((word,)) for name, word in words.items() if word is not None}
            assert stated(understand(text, DOG_ATTRIBUTES)) == known, text


def test_what_is_described_reads_as_a_person_would_say_it():
    dog = {"size": "small", "color": "white", "ears": "erect", "coat": "long", "muzzle": None}
    assert describe(dog, "en") == "a small white dog with erect ears and a long coat"
    assert describe(dog, "ru") == "маленькая белая собака, стоячие уши, длинная шерсть"
    assert describe({}, "en", 2) == "an animal"


@pytest.mark.parametrize("words, names", [({"size": "odd"}, "size is 'odd'"), ({"eyes": "blue"}, "eyes: the lexicon")])
def test_what_the_lexicon_does_not_say_is_not_described(words, names):
    with pytest.raises(ValueError, match=names):
        describe(words, "ru")


@pytest.mark.parametrize("name", DOG_ATTRIBUTES)
def test_every_word_is_understood_as_the_vocabulary_writes_it(name):
    part = {"leg_length": "legs", "size": "dog", "color": "dog"}.get(name, name)
    for word in DOG_ATTRIBUTES[name]:
        assert said(f"{word.replace('_', ' ')} {part}") == {name: {word}}
        assert said(f"{name}: {word}") == {name: {word}}


# inflection and slips

CASES = {  # of all genders and numbers, and short ones
    "белый": "белый белого белому белым белом белое белая белой белую белою белые белых белыми бел бела бело белы",
    "рыжий": "рыжий рыжего рыжему рыжим рыжем рыжее рыжая рыжей рыжую рыжею рыжие рыжих рыжими",
    "маленький": (
        "маленький маленького маленькому маленьким маленьком маленькое маленькая маленькой маленькую маленькою "
        "маленькие маленьких маленькими"
    ),
    "средний": (
        "средний среднего среднему средним среднем среднее средняя средней среднюю среднею средние средних средними"
    ),
    "большой": (
        "большой большого большому большим большом большое большая большой большую большою большие больших большими"
    ),
    "висячий": (
        "висячий висячего висячему висячим висячем висячее висячая висячей висячую висячею висячие висячих висячими"
    ),
    "короткий/короток": (
        "короткий короткого короткому коротким коротком короткое короткая короткой короткую короткою короткие "
        "коротких короткими короток коротка коротко коротки"
    ),
    "вьющийся": (
        "вьющийся вьющегося вьющемуся вьющимся вьющемся вьющееся вьющаяся вьющейся вьющуюся вьющеюся вьющиеся "
        "вьющихся вьющимися"
    ),
}


@pytest.mark.parametrize("lemma", CASES)
def test_all_forms_of_an_adjective(lemma):
    assert set(CASES[lemma].split()) <= set(adjective(lemma))


@pytest.mark.parametrize(
    "forms, states",
    [
        ("белая белой белую белый белого белому белым белом белое белые белых белыми", "color:white"),
        ("чёрный черный чёрная черной чёрную ЧЁРНЫЙ", "color:black"),
        ("вислоухий вислоухая вислоухого вислоухую вислоухим", "ears:drop"),
        ("длинношёрстный длинношерстная длинношёрстую длинношерстого", "coat:long"),
    ],
)
def test_every_form_of_a_word_tells_the_same(forms, states):
    assert [said(form) for form in forms.split()] == [expected(states)] * len(forms.split())


def test_a_noun_is_known_in_its_cases():
    for text in ("стоячие уши", "стоячих ушей", "стоячим ушам", "со стоячими ушами", "при стоячих ушах", "стоячее ухо"):
        assert said(text) == {"ears": {"erect"}}
    for text in (
        "длинная шерсть",
        "длинной шерсти",
        "длинной шерстью",
        "длинную шерсть",
        "длинный мех",
        "длинная шёрстка",
    ):
        assert said(text) == {"coat": {"long"}}


def test_no_ending_is_no_adjective():
    with pytest.raises(ValueError, match="'собака' ends as no adjective"):
        adjective("собака")


def test_no_known_word_is_taken_as_another():
    for (word, *more), meaning in LEXICON.meanings.items():
        if not more and word not in LEXICON.units:
            found = understand(word, DOG_ATTRIBUTES)
            assert not any("taken as" in one.note or "понято как" in one.note for one in found), word
            tells = isinstance(meaning, Value) or getattr(meaning, "markings", "")
            assert tells or not any(one.words for one in found), word
    for word in LEXICON.not_typos:
        assert not any(one.attribute for one in understand(word, DOG_ATTRIBUTES)), word


@pytest.mark.parametrize("form", Random(1).sample([f for f in FORMS if len(f) > 6 and f.isalpha()], 300))
def test_a_slip_in_a_long_word_gives_its_meaning_or_none(form):
    def taken(word):
        return {one.attribute: one.words for one in understand(word, DOG_ATTRIBUTES) if one.words}

    place = Random(form).randrange(1, len(form) - 1)
    swapped = form[:place] + form[place + 1] + form[place] + form[place + 2 :]
    for slip in (form[:place] + form[place + 1 :], form[:place] + form[place] + form[place:], swapped):
        if (slip,) not in LEXICON.meanings:
            assert taken(slip) in ({}, taken(form)), slip


def test_a_word_between_two_meanings_is_neither():
    assert LEXICON.slips.near("среднеросая") == {"среднерослая", "средненосая"}  # in size, in muzzle
    assert said("среднеросая") == {}


# any text


def check(text):
    phrases = understand(text, DOG_ATTRIBUTES)
    last = 0
    for phrase in phrases:
        assert last <= phrase.start < phrase.end <= len(text) and phrase.text == text[phrase.start : phrase.end]
        last = phrase.end
        assert phrase.attribute is None or set(phrase.words) <= set(DOG_ATTRIBUTES[phrase.attribute])
        assert phrase.words or phrase.note, phrase
    for name, one in stated(phrases).items():
        assert bool(one.words) != bool(one.excluded), (name, one)
    return phrases


@given(st.text(max_size=200))
def test_any_text_is_taken(text):
    check(text)


SIGNS = [",", ".", ":", "-", "/", ";", "(", "\n", "12", "kg", "20 см", "xyzzy", "щщщ", "İ", "ß", "'", "’"]


@given(st.lists(st.tuples(st.sampled_from([*FORMS, *SIGNS]), st.sampled_from([" ", "", ", ", "-"])), max_size=40))
def test_any_words_of_the_lexicon_in_any_order_are_taken(parts):
    check("".join(word + gap for word, gap in parts))


@pytest.mark.parametrize(
    "unit",
    ["white ", "long ", "not ", "without long ", "xyzzy ", "black and ", "ears ", "-", "длинная, ", "a" * 50, "1 "],
)
def test_the_work_grows_as_the_text_does(unit):
    def steps(length):
        text, count = (unit * length)[:length], 0

        def step(frame, event, argument):
            nonlocal count
            count += 1

        sys.setprofile(step)
        try:
            understand(text, DOG_ATTRIBUTES)
        finally:
            sys.setprofile(None)
        return count

    assert steps(10_000) < 2.3 * steps(5_000) + 1000


# other animals


def test_a_vocabulary_of_ones_own_is_understood_as_it_is_written_and_told():
    def cat(text):
        return said(text, words_of(CAT), lexicon_for(words_of(CAT), CAT, "lynx"))

    assert cat("a ginger tabby lynx with green eyes and a long coat") == {
        **{"color": {"red_golden"}, "pattern": {"tabby"}, "eyes": {"green"}, "fur": {"long"}},
    }
    assert cat("odd-coloured eyes, no tail") == {"eyes": {"odd"}, "tail": {"-yes"}}
    assert cat("чёрная кошка, короткая шерсть, с хвостом") == {"color": {"black"}, "fur": {"short"}, "tail": {"yes"}}
    assert cat("fur: short, eyes: blue") == {"fur": {"short"}, "eyes": {"blue"}}
    assert cat("small, erect ears, 4 kg") == {}


def test_of_a_vocabulary_without_a_telling_its_words_and_names_are_understood():
    vocabulary = {"eyes": ("green", "blue"), "pattern": ("tabby", "solid"), "size": ("small", "large")}
    assert said("tabby cat, green eyes, big", vocabulary) == {
        "pattern": {"tabby"},
        "eyes": {"green"},
        "size": {"large"},
    }
    assert said("pattern: solid", vocabulary) == {"pattern": {"solid"}}


# the file


def test_the_lexicon_speaks_of_what_the_dogs_have():
    entries = read_entries()
    for entry in entries["values"]:
        for name, words in entry["means"].items():
            assert {words} if isinstance(words, str) else set(words) <= set(DOG_ATTRIBUTES[name])
    for language in ("en", "ru"):
        ways = entries["said"][language]["before"] | entries["said"][language]["behind"]
        assert {name: set(some) for name, some in ways.items()} == {n: set(w) for n, w in DOG_ATTRIBUTES.items()}


def test_no_form_is_both_a_value_and_a_hint():
    hints = {key for key, one in LEXICON.meanings.items() if isinstance(one, Hint)}
    assert ("no",) in hints and ("на",) in hints and ("on",) in hints  # not true and false, as YAML would have them
