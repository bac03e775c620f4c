"""Photographs looked at on a Ray cluster, by Ray Data: each of its processes opens the networks once.

The nodes have auxreid installed and see the photographs under the same paths; the networks' files are sent to them.
"""

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from auxreid.lostpets.indexing.looked import Looked, look
from auxreid.lostpets.indexing.run import Batch
from auxreid.lostpets.looker import Looker
from auxreid.plumbing.base.errors import DataError
from auxreid.search.networks import Files

AT_ONCE = 256  # batches that are handed to Ray Data together


def looked_on_cluster(files: Files, source: str, batches: Iterable[Batch]) -> Iterator[Looked]:
    """The batches looked at, in any order. Needs a connection to a cluster."""
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    contents = {name: path.read_bytes() for name, path in files.paths().items()}
    sent, model, rest, has = ray.put(contents), files.hash(), iter(batches), ray.cluster_resources()
    gpus = int(has.get("GPU", 0))
    most = gpus or max(1, int(has["CPU"]) - 1)  # a core is left to what reads and hands out
    while part := list(islice(rest, AT_ONCE)):
        items = [{"batch": pickle.dumps(batch)} for batch in part]
        looked = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Looking,
            fn_constructor_args=(files, model, sent, source),
            batch_size=1,
            concurrency=(1, most),
            num_cpus=1,
            num_gpus=min(gpus, 1),
        )
        for row in looked.iter_rows():
            yield pickle.loads(row["looked"])


class Looking:
    """A process of the cluster that looks at batches."""

    def __init__(self, files: Files, model: str, sent: Any, source: str) -> None:
        import ray

        self.folder = tempfile.TemporaryDirectory(prefix="auxreid-index-")
        self.looker, self.source = Looker(written(ray.get(sent), files, Path(self.folder.name))), source
        if self.looker.model != model:
            raise DataError("the networks arrived changed")

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        looked = []
        for batch in map(pickle.loads, block["batch"]):
            names, photographs = zip(*batch, strict=True)
            looked.append(pickle.dumps(look(self.looker, names, photographs, self.source)))
        return {"looked": looked}


def written(contents: dict[str, bytes], files: Files, folder: Path) -> Files:
    """The same networks, of files in this folder."""
    here = {}
    for name, content in contents.items():
        here[name] = folder / f"{name}{getattr(files, name).suffix}"
        here[name].write_bytes(content)
    return replace(files, **{one.name: here[one.name] for one in fields(Files) if one.name in here})
