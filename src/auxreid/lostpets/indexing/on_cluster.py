"""Photographs looked at on a Ray cluster, by Ray Data: each of its processes opens the networks once.

The nodes have auxreid installed and see the photographs under the same paths; the networks' files are sent to them.
"""

import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from auxreid.lostpets.indexing.looked import Looked, look
from auxreid.lostpets.indexing.run import Batch
from auxreid.lostpets.looker import Looker
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.fanout.cluster import connected
from auxreid.search.networks import Files

AT_ONCE = 256  # batches that are handed to Ray Data together


@contextmanager
def cluster(address: str, cpus: int = 1, gpus: float = 0) -> Iterator[Callable]:
    """What looks at batches on the cluster, while the block runs.

    Raises:
        ConfigError: no cluster answers at the address.
    """
    with connected(address):
        yield lambda files, source, batches: _looked(files, source, batches, cpus, gpus)


def _looked(files: Files, source: str, batches: Iterable[Batch], cpus: int, gpus: float) -> Iterator[Looked]:
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    contents = {name: path.read_bytes() for name, path in files.paths().items()}
    sent, places = ray.put(contents), int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1) // (gpus or cpus))
    rest = iter(batches)
    while part := [batch for batch, _ in zip(rest, range(AT_ONCE), strict=False)]:
        items = [{"batch": pickle.dumps(batch)} for batch in part]
        looked = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Looking,
            fn_constructor_args=(files, sent, source),
            batch_size=1,
            concurrency=(1, max(1, places - 1)),
            num_cpus=cpus,
            num_gpus=gpus,
        )
        for row in looked.iter_rows():
            yield pickle.loads(row["looked"])


class Looking:
    """A process of the cluster that looks at batches."""

    def __init__(self, files: Files, sent: Any, source: str) -> None:
        import ray

        self.folder = tempfile.TemporaryDirectory(prefix="auxreid-index-")
        self.looker, self.source = Looker(written(ray.get(sent), files, Path(self.folder.name))), source
        if self.looker.model != files.hash():
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
