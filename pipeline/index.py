"""DVC stage `index`: what a search has to know of every frame of a data set, as one file.

usage: python pipeline/index.py DATASET-SEED
"""

from pathlib import Path

import checkout  # noqa: F401
import numpy as np

from auxreid.data.frames import open_frames
from auxreid.metric.scores import read_metric_scores
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script
from auxreid.search.index import index_rows, placed, predicted
from auxreid.search.looks import Looks
from auxreid.search.networks import Files, Networks
from auxreid.search.rows import Header, rows_file, write_rows
from auxreid.search.text_reader import why_missing
from auxreid.training.precision import FULL

RESULTS = Path("results")


def main(stage: Stage) -> None:
    with stage.run() as run:
        frames = open_frames(stage.reads["frames"], stage.entry["split"])
        files = open_files(stage)
        networks = Networks(files)
        vocabulary = {name: list(words) for name, words in networks.vocabulary.items()}
        embedding = networks.embed(frames)
        looks = Looks(embedding, predicted(stage.reads["predictions"], vocabulary, frames.frame_id))
        held_out = None
        if stage.reads["held_out"] is not None:
            scores = read_metric_scores(RESULTS, stage.dataset, stage.entry["of_row"], stage.entry["seed"])
            held_out = placed(frames.frame_id, scores.held_out, embedding.shape[1])
        header = Header(
            dataset=stage.dataset,
            seed=stage.entry["seed"],
            model=files.hash(),
            model_name=f"{stage.entry['of_row']} of {stage.dataset}, seed {stage.entry['seed']}",
            dimensions=embedding.shape[1],
            vocabulary=vocabulary,
            encoder=files.described(),
        )
        rows = index_rows(header, stage.reads["frames"], frames, looks, stage.settings.places, held_out)
        write_rows(rows_file(RESULTS, stage.dataset, stage.entry["seed"]), rows)
        counts = {"photographs": len(rows), "dogs": len(np.unique(rows.dog)), "dimensions": header.dimensions}
        run.summary(counts | {"placed_photographs": int(np.isfinite(rows.latitude).sum())})


def open_files(stage: Stage) -> Files:
    """The networks' files: a metric row may stand on the attribute classifier's own backbone."""
    entry, reads = stage.entry, stage.reads
    has_text = reads["text"] is not None and not why_missing(reads["text"])
    own = entry["on_attributes"]
    return Files(
        embedding=reads["embedding"],
        is_metric=entry["kind"] == "metric",
        attributes=reads["attributes"],
        backbone=reads["attributes"] if own else reads["backbone"],
        precision=FULL if entry["trained"] else stage.blocks[f"recipes.{entry['recipe']}.precision"],
        attribute_precision=stage.blocks[f"recipes.{entry['attributes_recipe']}.precision"],
        text=reads["text"] if has_text else None,
        descriptors=reads["descriptors"],
        hrnet=reads["hrnet"],
    )


if __name__ == "__main__":
    run_script(main)
