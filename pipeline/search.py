"""DVC stage `search`: how evidence is weighed in the search of a data set, and what the search is worth on test dogs.

usage: python pipeline/search.py DATASET
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import checkout  # noqa: F401
import numpy as np
from rich.console import Console

from auxreid.data.frames import Frames, open_frames
from auxreid.evaluation.protocols import open_evaluated
from auxreid.evaluation.ranked_lists import save_jpeg
from auxreid.metric.cells import console_table
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.run import Run
from auxreid.plumbing.stage.script import run_script
from auxreid.search.asked import Say, Seed, Tell
from auxreid.search.calibration_dogs import calibration_set
from auxreid.search.descriptions import described
from auxreid.search.evaluate import Evaluation, evaluate
from auxreid.search.examples import Calibrating, without_attributes
from auxreid.search.feedback import read_feedback
from auxreid.search.figures import dir_figure, reliability_figure, weights_figure
from auxreid.search.fit import fit_fusion
from auxreid.search.hard_cases import hard_case_picture
from auxreid.search.looks import Looks, Vocabulary
from auxreid.search.networks import Files
from auxreid.search.rows import IndexRows, read_rows, rows_file
from auxreid.search.stated import Stated
from auxreid.search.table import WORDS, csv_table, display_table, markdown_table, notes, summary
from auxreid.search.text_reader import TextReader, why_missing
from auxreid.search.words.describe import describe
from auxreid.search.words.english import in_english
from auxreid.search.words.understand import stated, understand

RESULTS = Path("results")
DIGITS = 6  # of a figure
WIDE = 400  # characters


def main(stage: Stage) -> None:
    entry, test = stage.entry, stage.settings.test
    with stage.run(of_row=entry["of_row"]) as run:
        rows = {seed: read_rows(rows_file(RESULTS, stage.dataset, seed)) for seed in entry["seeds"]}
        frames = {seed: open_frames(stage.reads["frames"], entry["split"]) for seed in rows}
        tested = open_evaluated(stage.reads["frames"], entry["split"])
        seeds = [fitted(stage, frames[seed], tested, one) for seed, one in rows.items()]
        write_text(run.out / "fusion.json", seeds[0].fusion.to_json())
        say = teller(seeds[0].fusion.vocabulary)
        found = evaluate(tested, seeds, stage.settings.protocol, test, stage.settings.level, say)
        write(run, found, tested, test.pictures)
    console = Console(width=max(Console().width, WIDE))
    title = f"{stage.dataset}: the search, per cent"
    console.print(console_table(title, display_table(found), WORDS), markup=False)
    for line in notes(found):
        console.print(f"- {line}", highlight=False, markup=False, soft_wrap=True)


def fitted(stage: Stage, frames: Frames, tested: Frames, rows: IndexRows) -> Seed:
    """The fusions of a seed, from dogs that neither its embedding nor the attribute classifier has learnt from."""
    looks = rows.looks if rows.held_out is None else Looks(rows.held_out, rows.looks.probabilities)
    learnt = (frames.split == "train") & (frames.identity > 0) if stage.entry["kind"] == "row" else None
    known = calibration_set(
        frames,
        looks,
        rows.header.vocabulary,
        cross_validated=stage.settings.attributes.folds is not None,
        embedding_learnt=learnt,
        fold=rows.fold,
    )
    model, seed = rows.header.model, rows.header.seed
    log, dogs = stage.reads["feedback"], set(tested.identity_name[tested.identity > 0].tolist())
    known, why = with_descriptions(known, stage, rows)
    fusion, visual = (
        fit_fusion(one, model, seed, log and read_feedback(log, one, model, dogs))
        for one in (known, without_attributes(known))
    )
    if not why and fusion.text is None:
        why = "too few calibration dogs have attribute labels"
    fusion = replace(fusion, about={**fusion.about, "no_text": why})
    return Seed(seed, rows.looks.take(tested.frame_id), fusion, visual, text_teller(stage, rows) if not why else None)


def with_descriptions(known: Calibrating, stage: Stage, rows: IndexRows) -> tuple[Calibrating, str]:
    """With descriptions of the dogs as the embedding's text tower has them; or as it is, and why there are none."""
    path = stage.reads["text"]
    if why := no_tower(rows) if path is None else why_missing(path):
        return known, why
    try:
        return replace(known, text=described(known, reader(path, rows), rows.header.seed)), ""
    except ValueError as error:
        return known, str(error)


def no_tower(rows: IndexRows) -> str:
    """Why no text tower belongs to the embedding."""
    if Files.read(rows.header.encoder).is_metric:
        return "the embedding is a metric row's, which has no text tower"
    return "the embedding is by descriptors, which were trained with no text"


def reader(path: Path, rows: IndexRows) -> TextReader:
    """The text tower of the rows' embedding."""
    return TextReader(path, Files.read(rows.header.encoder).precision)


def text_teller(stage: Stage, rows: IndexRows) -> Tell:
    """Describes a dog, and reads the description by the text tower."""
    read, vocabulary = reader(stage.reads["text"], rows), rows.header.vocabulary

    def tell(words: Mapping[str, str], language: str, turn: int) -> np.ndarray | None:
        text = describe(words, language, turn)
        english = in_english(text, stated(understand(text, vocabulary)))
        return None if english is None else read([english])[0]

    return tell


def teller(vocabulary: Vocabulary) -> Say:
    """Describes a dog, and understands the description."""

    def say(words: Mapping[str, str], language: str, turn: int) -> Mapping[str, Stated]:
        return stated(understand(describe(words, language, turn), vocabulary))

    return say


def write(run: Run, found: Evaluation, tested: Frames, pictures: int) -> None:
    """Table, metrics and figures."""
    write_text(run.out / "table.csv", csv_table(found))
    write_text(run.out / "table.md", markdown_table(found))
    for name, figure in (
        ("reliability", reliability_figure(found)),
        ("strangers", dir_figure(found)),
        ("weights", weights_figure(found)),
    ):
        figure.savefig(run.figure(f"{name}.png"))
    if (picture := hard_case_picture(found, tested, pictures)) is not None:
        save_jpeg(picture, run.figure("ranked_lists/hard_cases.jpg"))
    metrics = {name: round(value, DIGITS) for name, value in summary(found).items() if np.isfinite(value)}
    metrics["pairs_from_feedback"] = found.seeds[0].fusion.about["pairs_from_feedback"]
    write_text(run.out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    for name in ("fusion.json", "table.csv", "table.md"):
        run.artifact(name)
    run.summary(metrics)


if __name__ == "__main__":
    run_script(main)
