"""The text-image term: how it is fitted and weighed, what the text tower reads, a search by a row of the chain."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from params import ROOT, raw_params
from search_dogs import drawn_dogs
from search_rows import PlainFusion, SeenBefore, dog_rows
from search_study import DATASET, SIDE, search_params, write_inputs
from tiny_study import run, write_study

from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import save_no_text, save_tower
from auxreid.data.frames import open_frames
from auxreid.lostpets.command import answer_of
from auxreid.lostpets.engine import Engine
from auxreid.lostpets.looker import Looker, reader_of
from auxreid.lostpets.memory import MemoryBase
from auxreid.lostpets.query import Query, Stated
from auxreid.lostpets.study import open_made
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.settings.load import parse_config
from auxreid.search.calibration import Logistic
from auxreid.search.descriptions import described
from auxreid.search.fit import fit_fusion, fit_on
from auxreid.search.fusion import Fusion
from auxreid.search.text_image import Descriptions, TextImage, cosines
from auxreid.search.text_reader import TextReader, why_missing
from auxreid.search.words.english import in_english
from auxreid.search.words.understand import stated, understand

RESULTS, ROW, PART = Path("results"), "clip_reid", 8


@pytest.fixture(scope="module")
def known():
    return drawn_dogs(40, 2, seed=0)


def with_texts(known, noise: float):
    """Descriptions that point where the dog's photographs do, under noise; of one attribute of each dog."""
    rng = np.random.default_rng(0)
    own = np.stack([known.looks.embedding[known.dog == dog].mean(axis=0) for dog in known.dog])[:, -PART:]
    feature = own / np.linalg.norm(own, axis=1, keepdims=True) + noise * rng.normal(size=own.shape)
    feature /= np.linalg.norm(feature, axis=1, keepdims=True)
    said = np.zeros((len(known.dog), 2), bool)
    said[:, 0] = True
    return replace(known, text=Descriptions(feature.astype(np.float32), said))


def test_the_weight_is_what_texts_say_beside_the_other_terms(known):
    rows = np.arange(80)
    telling, idle = (fit_on(with_texts(known, noise), rows, "m", 0).text for noise in (0.2, 50.0))
    assert telling.weight > 0 and idle.weight == 0
    assert fit_on(known, rows, "m", 0).text is None
    plain, told = fit_on(known, rows, "m", 0), fit_on(with_texts(known, 0.2), rows, "m", 0)
    assert told.weights == plain.weights and told.stated_weights == plain.stated_weights


def test_descriptions_of_too_few_dogs_are_no_evidence(known):
    told = with_texts(known, 0.2)
    few = replace(told, text=replace(told.text, said=told.text.said & (known.dog < 3)[:, None]))
    assert fit_on(few, np.arange(80), "m", 0).text is None


def test_what_the_words_say_already_is_not_counted_twice(known):
    """Descriptions of a word, of which the photographs' part of the embedding is what the classifier sees."""
    seen = known.looks.probabilities["color"] - 0.25
    embedding = np.concatenate([known.looks.embedding, seen], axis=1)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    word = np.eye(4, dtype=np.float32)[known.codes["color"]]
    said = np.zeros((80, 2), bool)
    beside, alone = (
        fit_on(
            replace(known, looks=replace(known.looks, embedding=embedding), text=Descriptions(word, one)),
            np.arange(80),
            "m",
            0,
        ).text
        for one in (said | [True, False], said | [False, True])
    )
    assert 0 <= beside.weight < 0.5 * alone.weight


def test_a_fusion_with_the_term_is_written_and_read(known):
    fusion = fit_fusion(with_texts(known, 0.2), "m")
    again = Fusion.from_json(fusion.to_json())
    assert again.text == fusion.text and again.to_json() == fusion.to_json()
    feature, embedding = np.ones(PART, np.float32), known.looks.embedding
    np.testing.assert_array_equal(again.text.term(feature, embedding), fusion.text.term(feature, embedding))


def test_a_photograph_is_compared_by_the_last_part_of_its_embedding():
    embedding = np.array([[0.8, 0.36, 0.48], [0.0, 0.0, -1.0]], np.float32)
    np.testing.assert_allclose(cosines(np.array([[0.6, 0.8]], np.float32), embedding), [1.0, -0.8], atol=1e-6)


def test_descriptions_tell_true_words_of_each_dog(known):
    read = []
    known = replace(known, codes={**known.codes, "ears": np.where(known.dog == 1, -1, known.codes["ears"])})
    found = described(known, lambda texts: read.extend(texts) or np.eye(len(texts), dtype=np.float32), 0)
    assert found.said.any(axis=1).all() and not found.said[known.dog == 1, 1].any()
    for row, said in enumerate(found.said):
        taken = stated(understand(read[int(found.feature[row].argmax())], known.vocabulary))
        assert set(taken) == {name for name, one in zip(known.vocabulary, said, strict=True) if one}
        for name, one in taken.items():
            assert known.vocabulary[name][known.codes[name][row]] in one.words
    with pytest.raises(ValueError, match="no calibration dog has an attribute label"):
        described(replace(known, codes={name: np.full(80, -1) for name in known.codes}), None, 0)


def test_russian_is_read_as_far_as_it_is_understood():
    assert in_english(" a small spotted dog ", {}) == "a small spotted dog"
    taken = {"size": Stated(("small",)), "color": Stated(("white", "red_golden")), "ears": Stated((), ("drop",))}
    assert in_english("маленькая кремовая собака, уши не висячие", taken) == "a small dog"
    assert in_english("кремовая собака", {"color": taken["color"]}) is None


def test_the_term_ranks_and_does_not_decide():
    rows = dog_rows()
    fusion = PlainFusion()
    fusion.text = TextImage(Logistic(8.0, 0.0), 1.0)
    aim = rows.looks.embedding[6, -4:] / np.linalg.norm(rows.looks.embedding[6, -4:])  # of dog3
    engine = Engine(SeenBefore(rows), MemoryBase(rows), fusion, read=lambda texts: aim[None])
    plain, told = (engine.search(Query((b"4",), text=text, dogs=6)) for text in ("", "a small dog"))
    assert "text" not in [one.name for one in plain.dogs[0].terms]
    terms = {dog.dog: {one.name: one.value for one in dog.terms} for dog in told.dogs}
    assert max(terms, key=lambda dog: terms[dog]["text"]) == "dog3"
    for dog in told.dogs:
        decided = max(dog.score - terms[dog.dog]["text"], 0.0)
        assert dog.score == pytest.approx(sum(terms[dog.dog].values()))
        if len(dog.photos) == 1:
            assert dog.decision == fusion.decide(decided, told.searched)
    same = engine.among(Query((b"4",), text="a small dog"), engine.look([b"4"]), ["photo06"])
    assert "text" not in [one.name for one in same.dogs[0].terms]


# a row of the chain


def chain_params() -> dict:
    raw = search_params()
    recipe = raw_params()["recipes"]["sample_dogs_reid"]
    recipe |= {name: dict(raw["recipes"][DATASET][name]) for name in ("attributes", "search")}
    recipe["search"]["embedding"] = {"kind": "row", "row": ROW}
    recipe["input"] |= {"height": SIDE, "width": SIDE}
    recipe["encoder"] |= {"width": 4, "embed_dim": PART, "text": {"width": 16, "heads": 2, "layers": 1}}
    raw["recipes"]["sample_dogs_reid"], raw["datasets"][DATASET]["recipe"] = recipe, "sample_dogs_reid"
    raw["study"] |= {"rows": [ROW], "metric_rows": []}
    return raw


def write_towers(config) -> None:
    recipe = config.recipe(DATASET)
    torch.manual_seed(0)
    image, text = build_towers(recipe.encoder, (SIDE, SIDE))
    for path, tower in ((f"finetune/{DATASET}-{ROW}-0/encoder", image), (f"pretrain/{DATASET}-0/text", text)):
        file = RESULTS / f"{path}.safetensors"
        file.parent.mkdir(parents=True)
        save_tower(tower, file, recipe.encoder, recipe.input)


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """A study whose search is by an untrained row of the chain, up to its stages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUXREID_LIVE", "off")
    monkeypatch.syspath_prepend(str(ROOT / "pipeline"))
    config = write_study(chain_params())
    write_inputs()
    write_towers(config)
    return config


def search_of(config) -> None:
    for stage in ("index", "search"):
        for key in build_graph(config)[stage]:
            run(stage, key)


def test_a_row_of_the_chain_is_searched_by_text_and_photograph(chain, capsys):
    search_of(chain)
    made, table = open_made(), (RESULTS / f"search/{DATASET}/table.md").read_text()
    assert made.files.text == RESULTS / f"pretrain/{DATASET}-0/text.safetensors" and made.fusion.text is not None
    assert "text in English, words alone" in table and "compared with photographs too (weight" in table
    other = replace(made.files, text=made.files.attributes)
    assert other.hash() != made.files.hash()
    read = reader_of(made.files, made.fusion)
    both = read(["a small dog", "a large dog"])
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
    frames = open_frames(RESULTS / f"ingest/{DATASET}/frames.arrow")
    engine = Engine(Looker(made.files), MemoryBase(made.rows), made.fusion, read=read)
    answer = engine.search(Query((bytes(frames.image_bytes(40)),), text="маленькая собака"))
    first = answer.dogs[0]
    value = next(one.value for one in first.terms if one.name == "text")
    photo = made.rows.looks.embedding[list(made.rows.frame).index(first.photo)]
    assert value == pytest.approx(made.fusion.text.term(both[0], photo[None])[0])
    answer_of(Query(text="a small dog"), [], None, None, False, "en")
    assert "searched: 73 photographs" in capsys.readouterr().out


def test_without_a_text_tower_the_table_says_why(chain):
    recipe, path = chain.recipe(DATASET), RESULTS / f"pretrain/{DATASET}-0/text.safetensors"
    assert why_missing(path) == "" and TextReader(path, "32-true").tower.dim == PART
    save_no_text(path, recipe.encoder, recipe.input, "no captions to train one on")
    assert why_missing(path) == "no captions to train one on"
    search_of(chain)
    made = open_made()
    assert made.fusion.text is None and made.files.text is None and reader_of(made.files, made.fusion) is None
    table = (RESULTS / f"search/{DATASET}/table.md").read_text()
    assert "Text is not compared with photographs: no captions to train one on." in table and "alone" not in table


def test_the_table_of_runs_names_the_text_tower_of_a_chain_alone():
    for params, text in ((chain_params(), f"results/pretrain/{DATASET}-0/text.safetensors"), (search_params(), None)):
        graph = build_graph(parse_config(params))
        named = [graph["index"][f"{DATASET}-0"]["text"], graph["search"][DATASET]["text"]]
        assert named == [text or "pipeline/nothing/text.txt"] * 2
