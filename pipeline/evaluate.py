"""DVC stage `evaluate`: rank the gallery of a data set for every query, with one encoder.

usage: python pipeline/evaluate.py DATASET-ROW-SEED
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import checkout  # noqa: F401
import numpy as np
import torch

from auxreid.clip.checkpoints import load_ranked_encoder
from auxreid.clipreid.described import embed_row, open_descriptors
from auxreid.data.frames import Frames
from auxreid.evaluation.cmc_figure import CURVE_RANKS, cmc_figure
from auxreid.evaluation.on_device import gpu
from auxreid.evaluation.protocols import Entities, open_evaluated, query_and_gallery
from auxreid.evaluation.ranked_lists import (
    chosen_queries,
    draw_lists,
    first_places,
    frame_captions,
    ranked_list,
    save_jpeg,
)
from auxreid.evaluation.ranking import (
    JUNK,
    RankedQueries,
    cmc_curve,
    rank_blocks,
    rank_queries,
    squared_distances,
    summarise,
)
from auxreid.evaluation.reranking import rerank_blocks
from auxreid.evaluation.scores import Places, Scores, query_table, write_scores
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script

RESULTS = Path("results")


def main(stage: Stage) -> None:
    asked = json.loads(stage.reads["protocol"].read_text(encoding="utf-8"))
    row, seed, split = (stage.entry[name] for name in ("row", "seed", "split"))
    with stage.run(encoder=str(stage.reads["encoder"]), evaluate=asked) as run:
        frames = open_evaluated(stage.reads["frames"], split)
        encoder, beside = load_ranked_encoder(stage.reads["encoder"])
        described = stage.reads["descriptors"]
        descriptors = None if described is None else open_descriptors(described)
        started = time.perf_counter()
        beside_images = stage.reads["pose"], asked["precision"], stage.reads["attributes"]
        embedding = embed_row(encoder, beside, descriptors, frames, *beside_images)
        seconds = time.perf_counter() - started
        run.costs({"ms_per_image": 1000 * seconds / len(frames), "vector_width": embedding.shape[1]})
        query, gallery = query_and_gallery(frames, embedding, asked["protocol"])
        device = gpu()
        distances = squared_distances(query.embedding, gallery.embedding, device)
        ranked = rank_queries(distances, query.identity, gallery.identity, query.group, gallery.group)
        places = first_places(distances, query, gallery)
        del distances  # several gigabytes for a large gallery, and re-ranking needs room
        metrics, reranked = rounded(ranked), reranked_metrics(query, gallery, asked["reranking"], device)

        searched = int((gallery.identity != JUNK).sum())
        counts = len(query), searched
        scores = Scores(stage.dataset, row, seed, asked["protocol"], split, *counts, metrics, reranked, encoder.remark)
        write_scores(RESULTS, scores, per_query(frames, query, ranked, places))
        everything = metrics | {f"reranked_{name}": value for name, value in (reranked or {}).items()}
        write_text(run.out / "metrics.json", json.dumps(everything, indent=2) + "\n")
        run.summary(everything)
        ranks = min(CURVE_RANKS, searched)
        cmc_figure({row: cmc_curve(ranked, ranks)}, f"{stage.dataset}, {row}").savefig(run.figure("cmc.png"))
        captions = frame_captions(frames)
        for kind, chosen in chosen_queries(ranked, asked["pictures"], seed).items():
            lists = [ranked_list(position, query, places, ranked, captions) for position in chosen]
            if lists:
                save_jpeg(draw_lists(lists, frames.image), run.figure(f"ranked_lists/{kind}.jpg"))


def rounded(ranked: RankedQueries) -> dict[str, float]:
    """The figures, to six digits."""
    return {name: round(value, 6) for name, value in summarise(ranked).items()}


def reranked_metrics(
    query: Entities, gallery: Entities, settings: dict | None, device: torch.device | None = None
) -> dict[str, float] | None:
    """The figures after k-reciprocal re-ranking, without the counts of queries; None where it is switched off.

    Junk is nobody's neighbour: it is no part of the gallery that is searched, and would change the others' ranks.
    """
    if settings is None:
        return None
    kept = gallery.identity != JUNK
    blocks = rerank_blocks(query.embedding, gallery.embedding[kept], **settings, device=device)
    metrics = rounded(rank_blocks(blocks, query.identity, gallery.identity[kept], query.group, gallery.group[kept]))
    return {name: value for name, value in metrics.items() if not name.startswith("queries")}


def per_query(frames: Frames, query: Entities, ranked: RankedQueries, places: Sequence[tuple[np.ndarray, np.ndarray]]):
    """The table of every query's figures and first places."""
    sizes = np.array([len(members) for members in query.members])
    named = [Places(frames.frame_id[shown], is_true) for shown, is_true in places]
    return query_table(ranked, frames.frame_id[query.representative], sizes, query.identity, query.group, named)


if __name__ == "__main__":
    run_script(main)
