"""Evaluation at MSMT17's size (11,659 queries, 82,161 gallery images), plain and re-ranked, block by block within
12 GB.

    python benchmarks/large_gallery.py [--queries 11659] [--gallery 82161] [--dim 1280]

The embeddings are seeded and synthetic, so mAP and CMC say nothing about a model; they must rise by re-ranking. A
matrix of queries x gallery would take 3.8 GB, one of all entries squared 35 GB; neither is made.
"""

import argparse
import time

import numpy as np
from reranking import clustered_embeddings, peak_memory

from auxreid.evaluation.ranking import distance_blocks, rank_blocks, summarise
from auxreid.evaluation.reranking import rerank_blocks

QUERIES, GALLERY, DIM, CAMERAS = 11659, 82161, 1280, 15
MOST_MEMORY = 12e9


def main() -> None:
    """Print a line for each ranking, and one on memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("queries", QUERIES), ("gallery", GALLERY), ("dim", DIM)):
        parser.add_argument(f"--{name}", type=int, default=default)
    size = parser.parse_args()
    query, gallery, *identities = clustered_embeddings(size.queries, size.gallery, size.dim)
    rng = np.random.default_rng(1)
    cameras = rng.integers(1, CAMERAS + 1, size.queries), rng.integers(1, CAMERAS + 1, size.gallery)
    figures = {}
    for name, blocks in (("plain", distance_blocks), ("re-ranked", rerank_blocks)):
        started = time.perf_counter()
        figures[name] = summarise(rank_blocks(blocks(query, gallery), *identities, *cameras))
        print(
            f"{size.queries} x {size.gallery} x {size.dim}, {name}: {time.perf_counter() - started:.1f} s, "
            f"mAP {figures[name]['mAP']:.4f}, CMC@1 {figures[name]['CMC_1']:.4f}",
            flush=True,
        )
    peak = peak_memory()
    print(f"peak memory {peak / 1e9:.2f} GB, allowed are {MOST_MEMORY / 1e9:.0f} GB")
    if peak > MOST_MEMORY:
        raise SystemExit("too much memory")
    if figures["re-ranked"]["mAP"] <= figures["plain"]["mAP"]:
        raise SystemExit("re-ranking did not raise mAP")


if __name__ == "__main__":
    main()
