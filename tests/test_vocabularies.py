"""Animals by a vocabulary of params.yaml: what it may say, its sentences, and cats from their folder to a rank."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml
from dvc.repo import Repo
from hypothesis import assume, given
from hypothesis import strategies as st
from params import ROOT, raw_params
from PIL import Image, ImageDraw
from pydantic import TypeAdapter, ValidationError
from sentence_grammar import dogs
from tiny_study import run, tiny_params, write_study

from auxreid.attributes.dataset import attribute_codes, with_labels
from auxreid.clip.frame_captions import FrameCaptions
from auxreid.clipreid.attribute_sentences import sentence, tokens_sentence
from auxreid.clipreid.identity_attributes import identity_attributes
from auxreid.clipreid.variants import attribute_texts, encode_sentences, learner_sentences
from auxreid.data.frames import open_frames
from auxreid.data.ingest import examine
from auxreid.data.vocabulary import DOG_TELLING, telling_of
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.yaml_document import read_document
from auxreid.plumbing.graph.applicability import not_applicable
from auxreid.plumbing.graph.table import build_graph, write_graph
from auxreid.plumbing.settings.load import load_config, parse_config
from auxreid.plumbing.settings.vocabularies import AnimalVocabulary, twofold
from auxreid.plumbing.stage.instance import open_stage
from auxreid.plumbing.stage.record import read_record

CAT = {
    "fur": {"words": ["short", "long"], "spoken": {"long": "long-haired", "short": "short-haired"}},
    "pattern": {"words": ["tabby", "solid", "calico"]},
    "eyes": {"words": ["green", "blue", "yellow"], "part": "eyes"},
    "tail": {"words": ["ringed", "plain"], "part": "a tail"},
    "collar": {"words": ["no", "yes"], "part": "a collar"},
}
COLOURS = {"green": (40, 160, 60), "blue": (60, 90, 200), "yellow": (220, 200, 60)}


def parsed(vocabulary: dict):
    return TypeAdapter(AnimalVocabulary).validate_python(vocabulary, strict=False)


# ------------------------------------------------------------------------------------------------- what it may say


def with_words(*words: str, **more) -> dict:
    return {"words": list(words)} | more


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ({}, r"vocabularies.cat = {}: .*at least 1"),
        ({"fur": with_words("short", "short")}, r"vocabularies.cat.fur = .*words: 'short' stands there twice"),
        ({"fur": with_words("short")}, r"vocabularies.cat.fur.words = .*at least 2"),
        ({"fur": with_words("short", "")}, r"vocabularies.cat.fur.words.1 = '': String should match"),
        ({"fur": with_words("short", 3)}, r"vocabularies.cat.fur.words.1 = 3: .*valid string"),
        ({"fur": with_words("no", "short")}, r"no and yes are an attribute's only words; found no, short"),
        ({"collar": with_words("no", "yes")}, r"cat.collar = .*without a part, spoken: {yes: ...}"),
        (
            {"fur": with_words("short", "long", spoken={"wire": "wiry"})},
            r"spoken: 'wire' is none of the words: short, ",
        ),
        ({"fur": with_words("semi_long", "long")}, r"cannot tell 'semi_long': small English letters"),
        ({"fur": with_words("short", "with", part="a coat")}, r"cannot tell 'a with coat': .*without 'with'"),
        ({"fur": with_words("short", "long", part="A Coat")}, r"cannot tell 'short A Coat'"),
        ({"Fur": with_words("short", "long")}, r"vocabularies.cat.Fur.*should match pattern"),
        ({"date": with_words("day", "night")}, r"vocabularies.cat = .*date: the name of another column of the table"),
        ({"fur": with_words("red", "grey"), "eyes": with_words("blue", "red")}, r"'red' tells two different animals"),
        (
            {"shade": with_words("dark", "dark red"), "fur": with_words("red", "grey")},
            r"'dark red' tells two different animals; see the key spoken",
        ),
        (
            {"a": with_words("no", "yes", part="a bell"), "b": with_words("big", "a bell and big", part="ears")},
            r"tells two different animals",
        ),
        ({"fur": with_words("short", "long", colour="x")}, r"vocabularies.cat.fur.colour = 'x': Extra inputs"),
    ],
)
def test_a_vocabulary_that_cannot_be_told_is_refused_by_its_key(vocabulary, message):
    raw = raw_params()
    raw["vocabularies"] = {"cat": vocabulary}
    with pytest.raises(ConfigError, match=message):
        parse_config(raw)


def test_a_name_that_is_none_and_a_layout_without_animals_are_refused():
    raw = raw_params()
    raw["datasets"]["dogs"]["vocabulary"] = "cow"
    with pytest.raises(ConfigError, match=r"datasets.dogs.vocabulary = 'cow': not in vocabularies \(cat\)"):
        parse_config(raw)
    raw["datasets"]["dogs"]["vocabulary"] = None
    raw["datasets"]["market1501"]["vocabulary"] = "cat"
    with pytest.raises(ConfigError, match=r"datasets.market1501.*vocabulary is for the layouts 'dogs' and 'csv'"):
        parse_config(raw)


def test_a_params_file_without_vocabularies_is_as_before():
    raw = raw_params()
    del raw["vocabularies"]
    assert parse_config(raw).vocabularies == {}


# -------------------------------------------------------------------------------------------------------- sentences

PIECES = st.lists(st.sampled_from(["red", "dark", "dark red", "and", "a", "big", "x and y"]), min_size=1, max_size=2)
ATTRIBUTES = st.one_of(
    st.fixed_dictionaries(
        {
            "words": st.lists(PIECES.map(" ".join), min_size=2, max_size=3, unique=True),
            "part": st.sampled_from([None, "ears", "red ears", "a coat", "an ear and a paw"]),
        }
    ),
    st.just({"words": ["no", "yes"], "spoken": {"yes": "red"}}),
    st.sampled_from(["a red ear", "ears", "paws"]).map(lambda part: {"words": ["no", "yes"], "part": part}),
)
VOCABULARIES = st.dictionaries(st.sampled_from("abc"), ATTRIBUTES, min_size=1)


def combinations(vocabulary):
    for words in product(*([None, *one["words"]] for one in vocabulary.values())):
        yield dict(zip(vocabulary, words, strict=True))


@given(VOCABULARIES)
def test_sentences_are_equal_exactly_where_the_attributes_are(vocabulary):
    """Of any vocabulary that is taken; "no" and unknown are alike."""
    try:
        telling = telling_of(parsed(vocabulary))
    except ValidationError:
        assume(False)
    for make in (sentence, lambda *of, telling: tokens_sentence(*of, 4, telling)):
        told = {}
        for attributes in combinations(vocabulary):
            known = tuple((name, word) for name, word in attributes.items() if word not in (None, "no"))
            told.setdefault(make(attributes, "cat", telling=telling), set()).add(known)
        assert all(len(one) == 1 for one in told.values())
        assert len(told) == len(set.union(*told.values()))


FORMS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(tuple)


@given(st.lists(st.lists(FORMS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_text_has_two_readings_where_two_choices_give_it(slots):
    texts = {}
    for choice in product(*([None, *enumerate(slot)] for slot in slots)):
        text = sum((form for one in choice if one is not None for form in [one[1]]), ())
        texts.setdefault(text, []).append(choice)
    twice = {text for text, choices in texts.items() if len(choices) > 1}
    found = twofold(slots)
    assert (found is None) == (not twice)
    assert found is None or found in {text[start:] for text in twice for start in range(len(text))}


def test_a_sentence_that_clip_does_not_read_to_its_end_is_refused():
    told = f"A photo of a cat with {', '.join(['green eyes'] * 30)}."
    with pytest.raises(DataError, match=r"eyes.' has \d+ tokens, CLIP reads 77: name fewer attributes"):
        encode_sentences(None, ["A photo of a cat.", told])


def written_dogs():
    """The dogs' vocabulary as docs/animals.md writes it out."""
    block = (ROOT / "docs/animals.md").read_text().split("```yaml\n")[1].split("```")[0]
    path = Path("written.yaml")
    path.write_text(block)
    return telling_of(parsed(read_document(path, ConfigError).value["vocabularies"]["dog"]))


def test_the_dogs_own_vocabulary_can_be_written_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert written_dogs() == DOG_TELLING


@given(dogs())
def test_dogs_are_told_in_any_order_of_their_columns(animal):
    turned = dict(reversed(animal.items()))
    assert sentence(turned, "dog", DOG_TELLING) == sentence(animal, "dog", DOG_TELLING)


# ------------------------------------------------------------------------------------------------------------- cats


def draw(path: Path, eyes: str, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (32, 64), (90 + number, 80, 70))
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 10 + number % 5, 24, 50), fill=(150, 120 + number, 90))
    for x in (11, 18):
        pen.ellipse((x, 16, x + 4, 20), fill=COLOURS[eyes])
    image.save(path)


def known(cat: int) -> dict[str, str]:
    words = {name: one["words"][(cat + place) % len(one["words"])] for place, (name, one) in enumerate(CAT.items())}
    return words | ({"eyes": ""} if cat == 7 else {})


def cat_rows() -> list[dict[str, str]]:
    """Cats 1 to 8 in train, 9 to 12 in test, each in two sequences of two photographs."""
    return [
        {"path": f"{cat}/{clip}{k}.png", "Name": f"cat {cat:02d}", "sequence": f"{cat}-{clip}", **known(cat)}
        | {"split": "train" if cat <= 8 else "test"}
        for cat in range(1, 13)
        for clip in "ab"
        for k in (1, 2)
    ]


def write_cats(root: Path, rows: list[dict[str, str]]) -> None:
    for number, row in enumerate(rows):
        draw(root / row["path"], row["eyes"] or "green", number)
    with (root / "cats.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def cat_params() -> dict:
    raw = tiny_params()
    raw["vocabularies"] = {"cat": CAT}
    raw["datasets"]["cats"] = dict(layout="csv", folder="raw/cats", protocol="dogs", word="cat", vocabulary="cat")
    raw["datasets"]["cats"] |= {"table": "cats.csv", "columns": {"identity": "Name"}, "recipe": "sample_people"}
    raw["recipes"]["sample_people"]["pose"] = None
    raw["study"] = {"datasets": ["cats"], "seeds": [0], "rows": ["clip_reid", "attribute_prompts_corrected"]}
    raw["study"]["rows"] += ["attribute_tokens"]
    return raw


@pytest.fixture(scope="module")
def cats(tmp_path_factory):
    """The folder of a study of cats that were ingested."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("cats"))
        write_cats(Path("raw/cats"), cat_rows())
        write_study(cat_params())
        run("ingest", "cats")
        yield Path.cwd()


def test_cats_are_told_by_their_vocabulary(cats):
    frames = open_frames(cats / "results/ingest/cats/frames.arrow")
    assert frames.meta.attributes == {name: one["words"] for name, one in CAT.items()}
    assert frames.meta.telling == telling_of(parsed(CAT))
    captions = FrameCaptions(frames)
    of_path = dict(zip(frames.path, map(captions.full, range(len(frames))), strict=True))
    assert of_path["1/a1.png"] == "a photo of a long-haired calico cat with green eyes, a ringed tail and a collar"
    assert of_path["2/a1.png"] == "a photo of a short-haired tabby cat with blue eyes and a plain tail"
    assert of_path["7/b2.png"] == "a photo of a long-haired calico cat with a ringed tail and a collar"
    subject = "a photo of a short-haired tabby cat"
    row = int(np.flatnonzero(frames.path == "2/a1.png")[0])
    assert {captions.varied(row, np.random.default_rng(seed)) for seed in range(20)} == {subject, of_path["2/a1.png"]}


def test_prompts_of_cats(cats):
    frames = open_frames(cats / "results/ingest/cats/frames.arrow").where("train")
    found = identity_attributes(frames, frames.identity - frames.identity.min())
    variants = load_config(cats / "params.yaml").prompts
    told = attribute_texts(variants["attribute_sentences"], "cat", found)
    assert told[1] == "A photo of a short-haired tabby cat with blue eyes and a plain tail."
    learned = learner_sentences(variants["attribute_tokens"], "cat", 8, found)
    assert learned[1] == f"{told[1][:-1]}: a X X X X cat."
    assert len(set(told)) == len(set(learned)) == len({tuple(known(cat).values()) for cat in range(1, 9)})


def test_the_classifier_reads_the_words_of_cats(cats):
    frames = with_labels(open_frames(cats / "results/ingest/cats/frames.arrow"))
    codes = attribute_codes(frames, frames.meta.attributes)
    assert len(frames) == 48 and list(codes) == list(CAT)
    assert (codes["eyes"] == -1).sum() == 4 and set(codes["pattern"]) == {0, 1, 2}


def test_the_ingest_depends_on_the_vocabulary_that_is_named_and_on_no_other(cats):
    raw = raw_params()
    raw["study"]["datasets"] = ["dogs", "cats"]
    raw["datasets"]["cats"] = cat_params()["datasets"]["cats"] | {"recipe": None}
    graph = build_graph(parse_config(raw))
    assert graph["ingest"]["cats"]["vocabulary"] == "vocabularies.cat"
    assert graph["ingest"]["dogs"]["vocabulary"] == "datasets.dogs"
    assert list(open_stage("ingest", "cats", ROOT).blocks) == ["datasets.cats", "vocabularies.cat"]
    params = read_record(cats / "results/ingest/cats/record").params
    assert params["vocabularies.cat.eyes.words"] == CAT["eyes"]["words"]


def test_dvc_hashes_that_vocabulary_for_that_data_set_alone(cats):
    """By DVC's own reading of dvc.yaml and the table of runs; without one, a data set depends on its block alone."""
    raw = cat_params()
    raw["study"]["datasets"] = ["cats", "sample_people"]
    write_graph(parse_config(raw), cats / "dvc/graph.yaml")
    (cats / "dvc/params.yaml").write_text(yaml.safe_dump(raw))
    (cats / "dvc/dvc.yaml").write_text((ROOT / "dvc.yaml").read_text().replace("pipeline/graph.yaml", "graph.yaml"))
    with Repo.init(str(cats / "dvc"), no_scm=True) as repo:
        stages = [stage for stage in repo.index.stages if stage.name.startswith("ingest@")]
    found = {stage.name: {name for dep in stage.params for name in dep.params} for stage in stages}
    own = {"datasets.cats", "vocabularies.cat"}
    assert found == {"ingest@cats": own, "ingest@sample_people": {"datasets.sample_people"}}


def test_words_that_the_vocabulary_has_not_are_refused_with_their_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = cat_rows()
    rows[2]["pattern"] = "tortie"
    write_cats(Path("raw/cats"), rows)
    config = parse_config(cat_params())
    with pytest.raises(DataError, match=r"cats.csv, line 4 .*column pattern: 'tortie', allowed: tabby, solid, calico"):
        examine(config.datasets["cats"], config.vocabularies["cat"])


def test_a_camera_trap_s_animals_are_told_as_animals_and_ranked_by_camera():
    raw = cat_params()
    raw["study"]["rows"] = None
    raw["datasets"]["cats"]["protocol"] = "market1501"
    left_out = not_applicable(parse_config(raw), "cats")
    assert left_out["attribute_prompts"] == "the author's sentence describes people"
    assert not any("needs cameras" in why for why in left_out.values())
    raw["datasets"]["cats"]["protocol"] = "dogs"
    raw["datasets"]["cats"]["vocabulary"] = None
    by_sequence = not_applicable(parse_config(raw), "cats")
    assert by_sequence.keys() - left_out.keys() == {"camera_centred", "other_cameras"}
    assert left_out.keys() < by_sequence.keys()


def test_cats_run_through_the_chain(cats, monkeypatch):
    monkeypatch.chdir(cats)
    run("pretrain", "cats-0")
    run("protocol", "cats")
    for row, variant in {
        "attribute_prompts_corrected": "attribute_sentences",
        "attribute_tokens": "attribute_tokens",
    }.items():
        run("prompts", f"cats-{variant}-0")
        run("finetune", f"cats-{row}-0")
        run("evaluate", f"cats-{row}-0")
        assert Path(f"results/evaluate/cats-{row}-0/metrics.json").is_file()
        costs = read_record(Path(f"results/evaluate/cats-{row}-0/record")).costs
        assert costs["ms_per_image"] > 0 and costs["vector_width"] > 0
