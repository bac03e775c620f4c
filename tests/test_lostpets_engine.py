"""A search from its query to its answer, over rows in memory: evidence, grouping, facts, what is refused."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from search_rows import MODEL, PlainFusion, SeenBefore, dog_rows

from auxreid.lostpets.answer import Term
from auxreid.lostpets.asked import day_of, near_of, stated_of
from auxreid.lostpets.candidates import Base
from auxreid.lostpets.engine import Engine
from auxreid.lostpets.explain import in_words, told
from auxreid.lostpets.memory import MemoryBase, day
from auxreid.lostpets.query import Facts, Near, Query, Stated
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.search.rows import read_rows, write_rows

PARK = Near(55.75, 37.62, 5)


@pytest.fixture
def engine() -> Engine:
    rows = dog_rows()
    return Engine(SeenBefore(rows), MemoryBase(rows), PlainFusion())


def test_rows_come_back_as_they_were_written_and_equal_ones_are_equal_bytes(tmp_path):
    rows = dog_rows()
    held_out = rows.looks.embedding * np.float32(0.5)
    rows = replace(rows, held_out=held_out, fold=np.arange(len(rows)) % 3 - 1)
    write_rows(tmp_path / "a.parquet", rows)
    write_rows(tmp_path / "b.parquet", rows)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    found = read_rows(tmp_path / "a.parquet")
    assert found.header == rows.header
    for name in (
        "frame",
        "dog",
        "split",
        "sequence",
        "date",
        "place",
        "latitude",
        "longitude",
        "fold",
    ):
        np.testing.assert_array_equal(getattr(found, name), getattr(rows, name), err_msg=name)
    np.testing.assert_array_equal(found.looks.embedding, rows.looks.embedding)
    np.testing.assert_array_equal(found.held_out, held_out)
    np.testing.assert_array_equal(found.looks.probabilities["ears"], rows.looks.probabilities["ears"])
    assert list(found.thumbnail) == list(rows.thumbnail)


def test_rows_that_are_not_there_name_the_command_and_a_broken_file_the_remedy(tmp_path):
    path = tmp_path / "dogs/0.parquet"
    with pytest.raises(DataError, match="dvc repro index@dogs-0"):
        read_rows(path)
    path.parent.mkdir()
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="no rows of an index"):
        read_rows(path)


def test_dogs_are_ranked_by_the_sum_of_their_evidence_each_by_its_best_photograph(engine):
    answer = engine.search(Query((b"4",)))
    assert answer.dogs[0].dog == "dog2" and answer.dogs[0].photo == "photo04"
    assert sorted(answer.dogs[0].photos) == ["photo04", "photo05"]
    assert [dog.score for dog in answer.dogs] == sorted((dog.score for dog in answer.dogs), reverse=True)
    assert len({dog.dog for dog in answer.dogs}) == 6
    for dog in answer.dogs:
        assert dog.score == pytest.approx(sum(term.value for term in dog.terms))
    assert answer.decision == answer.dogs[0].decision == "match"
    assert (answer.searched, answer.searched_dogs, answer.exact) == (12, 6, True)
    assert answer.predicted["size"]["small"] == pytest.approx(0.8)


def test_several_photographs_are_pooled(engine):
    one, both = engine.search(Query((b"2",))), engine.search(Query((b"2", b"5")))
    assert one.dogs[0].dog == "dog1"
    terms = {dog.dog: dog.terms[0].value for dog in both.dogs}
    assert min(terms["dog1"], terms["dog2"]) > max(terms[name] for name in ("dog0", "dog3", "dog4", "dog5"))


def test_what_is_stated_replaces_what_is_predicted_and_is_told_so(engine):
    answer = engine.search(Query((b"4",), stated={"size": Stated(("large",))}))
    term = next(one for one in answer.dogs[0].terms if one.name == "size")
    assert term.said and answer.stated == {"size": ["large"]}
    small = next(dog for dog in answer.dogs if dog.dog == "dog2")
    assert next(one.value for one in small.terms if one.name == "size") < 0


def test_a_word_that_is_excluded_leaves_the_others(engine):
    answer = engine.search(Query((b"4",), stated={"size": Stated(excluded=("small",))}))
    assert answer.stated == {"size": ["medium", "large"]}


def test_stated_attributes_alone_are_a_query_without_visual_evidence(engine):
    answer = engine.search(Query(stated={"size": Stated(("large",)), "ears": Stated(("erect",))}))
    assert answer.dogs[0].dog == "dog3" and answer.predicted == {}
    assert {term.name for term in answer.dogs[0].terms} == {"size", "ears"}


def test_a_description_is_read_however_its_letters_are_encoded(engine):
    for text in ("\u200bsm\u00adall dog", "ｓｍａｌｌ dog", "собака с малень\u200dким ростом, маленькии\u0306 пёс"):
        assert engine.search(Query(text=text)).stated == {"size": ["small"]}


def test_what_is_said_to_be_unknown_adds_nothing_whatever_the_photograph_says(engine):
    answer = engine.search(Query((b"4",), text="a small dog", stated={"size": Stated(), "ears": Stated(("drop",))}))
    values = {term.name: (term.value, term.said) for term in answer.dogs[0].terms}
    assert values["size"] == (pytest.approx(0.0, abs=1e-6), False) and values["ears"][1]
    assert answer.stated == {"ears": ["drop"]}
    with pytest.raises(DataError, match="nothing to search by"):
        engine.search(Query(stated={"size": Stated()}))


def test_without_a_photograph_the_best_of_all_are_found_and_not_of_the_first(engine, monkeypatch):
    stated = {"size": Stated(("large",)), "ears": Stated(("erect",))}
    every = engine.search(Query(stated=stated))
    monkeypatch.setattr("auxreid.lostpets.engine.MOST", 2)
    few = engine.search(Query(stated=stated))
    assert [dog.dog for dog in few.dogs] == [dog.dog for dog in every.dogs][: len(few.dogs)] != []
    assert few.searched == every.searched == 12


def test_a_description_is_stated_where_the_user_does_not_say_otherwise(engine):
    answer = engine.search(Query(text="a small dog with drop ears", stated={"size": Stated(("large",))}))
    assert answer.stated == {"size": ["large"], "ears": ["drop"]}
    assert ("small", "size", ["small"]) in [(one.text, one.attribute, one.words) for one in answer.understood]
    russian = engine.search(Query(text="маленькая собака, уши стоячие"))
    assert russian.stated == {"size": ["small"], "ears": ["erect"]}


def test_some_photographs_alone_are_compared_as_far_as_the_facts_leave_them(engine):
    looks, facts = engine.look([b"4", b"5"]), Facts(near=PARK)
    answer = engine.among(Query((b"not looked at",), facts=facts), looks, ["photo02", "photo04", "photo11"])
    assert [dog.dog for dog in answer.dogs] == ["dog2", "dog5"] and answer.searched == 2
    alone = engine.among(Query(stated={"size": Stated(("large",))}), None, ["photo02", "photo04"])
    assert [dog.dog for dog in alone.dogs] == ["dog1", "dog2"]


def test_facts_narrow_and_records_without_them_stay_and_say_so(engine):
    answer = engine.search(Query((b"0",), facts=Facts(PARK, date(2024, 5, 2), date(2024, 5, 4))))
    assert {dog.dog for dog in answer.dogs} == {"dog2", "dog5"}
    assert {dog.dog: dog.lacks for dog in answer.dogs}["dog5"] == ["date", "place"]
    assert {dog.dog: dog.km for dog in answer.dogs} == {"dog2": 0.0, "dog5": None}
    told = [(one.name, one.before, one.after, one.lacking) for one in answer.filters]
    assert told == [("near", 12, 8, 2), ("since", 8, 6, 2), ("until", 6, 4, 2)]
    assert (answer.searched, answer.searched_dogs) == (4, 2)


def test_nothing_left_is_an_answer_too(engine):
    answer = engine.search(Query((b"0",), facts=Facts(kinds=("lost",))))
    assert answer.dogs == [] and answer.decision == "no match" and answer.searched == 0


def test_similar_finds_other_dogs(engine):
    answer = engine.similar("photo04")
    assert len(answer.dogs) == 5 and "dog2" not in {dog.dog for dog in answer.dogs}
    with pytest.raises(DataError, match="no such photograph"):
        engine.similar("photo99")


def test_reranking_keeps_the_values_of_the_visual_evidence_and_orders_them_anew(engine):
    plain, reranked = engine.search(Query((b"4",))), engine.search(Query((b"4",), rerank=True))
    assert reranked.dogs[0].dog == "dog2"
    assert plain.dogs[0].terms[0].value == pytest.approx(reranked.dogs[0].terms[0].value)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (Query(), "nothing to search by"),
        (Query((b"0",), stated={"tail": Stated(("long",))}), "no attribute 'tail'; there are size, ears"),
        (Query((b"0",), stated={"ears": Stated(("floppy",))}), "no word 'floppy'; allowed are erect, drop"),
        (Query((b"0",), stated={"ears": Stated(excluded=("erect", "drop"))}), "no word is left"),
    ],
)
def test_what_cannot_be_searched_by_is_refused(engine, query, reason):
    with pytest.raises(DataError, match=reason):
        engine.search(query)


def test_another_models_base_is_refused_by_name():
    rows = dog_rows()
    other = replace(rows, header=replace(rows.header, model="f" * 64))
    with pytest.raises(ConfigError, match="the base is of the networks ffffffffffff, the fusion"):
        Engine(SeenBefore(rows), MemoryBase(other), PlainFusion())
    assert Engine(None, MemoryBase(rows), PlainFusion()).model != MODEL


def test_options_of_the_command_are_parts_of_a_query():
    assert near_of("55.75,37.62,5") == Near(55.75, 37.62, 5)
    assert day_of("--since", "2024-05-17") == date(2024, 5, 17)
    said = stated_of(["size=small,medium", "ears!=drop", "size=large"])
    assert said == {"size": Stated(("small", "medium", "large")), "ears": Stated((), ("drop",))}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda: near_of("park"), "--near park: latitude, longitude and kilometres"),
        (lambda: near_of("95,0,1"), "--near 95,0,1: degrees from -90 to 90"),
        (lambda: day_of("--until", "yesterday"), "--until yesterday: a date is needed: 2024-05-17"),
        (lambda: stated_of(["small"]), "--stated small: "),
        (lambda: stated_of(["size=,"]), "--stated size=,: names no word"),
    ],
)
def test_an_option_that_says_nothing_is_told_with_what_it_takes(wrong, reason):
    with pytest.raises(ConfigError, match=reason):
        wrong()


def test_terms_in_words():
    terms = [Term(name="ears", value=-0.74), Term(name="size", value=1.9, said=True), Term(name="visual", value=0.01)]
    assert in_words(terms) == "size (as stated) agrees +1.9, ears disagree −0.7, the photographs say nothing"
    assert in_words(terms[:2], "ru") == "размер (со слов) совпадает +1,9, уши не совпадают −0,7"


def test_the_terms_that_say_nothing_share_a_line():
    terms = [Term(name="coat", value=0.0, said=True), Term(name="ears", value=0.7), Term(name="size", value=-0.01)]
    assert told(terms) == ["ears agree +0.7", "size, coat (as stated) say nothing"]
    assert told(terms, "ru")[1] == "размер, шерсть (со слов) ни о чём не говорят"
    assert told(terms[1:2]) == ["ears agree +0.7"] and told([]) == []


def test_a_memory_base_is_a_base():
    base: Base = MemoryBase(dog_rows())
    assert base.count() == 12 and base.thumbnail("photo00")[:2] == b"\xff\xd8"
    assert day("2024-05") == date(2024, 5, 1) and day("") is None and day("long ago") is None
