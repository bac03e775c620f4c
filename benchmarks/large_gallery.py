"""Evaluation at MSMT17's size (11,659 queries, 82,161 gallery images), plain and re-ranked, block by block within
12 GB.

    python benchmarks/large_gallery.py [--queries 11659] [--gallery 82161] [--dim 1280]

The embeddings are seeded and synthetic, so mAP says nothing about a model; it must rise by re-ranking. The reference
is the bytes of the matrix that each would need at once, queries x gallery or all entries squared; neither is made.
"""

import time

import numpy as np
from reranking import clustered_embeddings, peak_memory
from result import Asked, Row, finish
from sizes import read_sizes

from auxreid.evaluation.ranking import distance_blocks, rank_blocks, summarise
from auxreid.evaluation.reranking import rerank_blocks

QUERIES, GALLERY, DIM, CAMERAS = 11659, 82161, 1280, 15
MOST_GB, LEAST_GAIN = 12, 1.01  # the gain is re-ranked mAP over plain mAP


def rows(queries: int = QUERIES, gallery: int = GALLERY, dim: int = DIM) -> list[Row]:
    """A row for each ranking, plain first: peak memory only grows."""
    query, entries, *identities = clustered_embeddings(queries, gallery, dim)
    rng = np.random.default_rng(1)
    cameras = rng.integers(1, CAMERAS + 1, queries), rng.integers(1, CAMERAS + 1, gallery)
    matrix = {"ranking": 4e-9 * queries * gallery, "re-ranking": 4e-9 * (queries + gallery) ** 2}  # float32, GB
    found, precision = [], {}
    for name, blocks in (("ranking", distance_blocks), ("re-ranking", rerank_blocks)):
        started = time.perf_counter()
        precision[name] = summarise(rank_blocks(blocks(query, entries), *identities, *cameras))["mAP"]
        remark = f"{time.perf_counter() - started:.1f} s, mAP {precision[name]:.4f}"
        peak = peak_memory() / 1e9
        asked = [Asked("peak GB", peak, most=MOST_GB)]
        if name == "re-ranking":
            asked.append(Asked("mAP over plain mAP", precision[name] / precision["ranking"], least=LEAST_GAIN))
        figures = f"{matrix[name]:.2f} GB", f"{peak:.2f} GB peak", f"{matrix[name] / peak:.1f} x"
        size = f"{name} in blocks, {queries} x {gallery} x {dim}"
        found.append(Row(size, "one matrix, computed", *figures, tuple(asked), remark))
    return found


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, queries=QUERIES, gallery=GALLERY, dim=DIM)))
