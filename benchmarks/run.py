"""All benchmarks, each against a reference in the same run, as one table.

    python benchmarks/run.py

Each runs in a fresh process of its own, so that memory, thread pools and imports do not leak from one to the next.
Exits with 1 if anything that is asked is not reached, and names it.
"""

import importlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from result import Row, finish
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

BENCHMARKS = (
    "startup",
    "dvc_status",
    "ranking",
    "reranking",
    "large_gallery",
    "stage1",
    "stage2",
    "local_descriptors",
    "hrnet",
    "ddp",
    "busy_neighbour",
    "kept_memory",
    "pet_base",
)


def main() -> None:
    """Print the table; the progress goes to stderr, so that stdout is the table alone."""
    rows, failed = [], []
    console = Console(stderr=True)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        for number, name in enumerate(BENCHMARKS, start=1):
            title = f"benchmark {number} of {len(BENCHMARKS)}: {name}"
            task = progress.add_task(title, total=1)
            if not console.is_terminal:  # a log shows the bars at the end alone
                console.print(title)
            try:
                rows += in_fresh_process(name)
            except Exception as error:  # a benchmark that dies (memory) must not take the others' rows with it
                failed.append(f"{name}: {type(error).__name__}: {error}")
            progress.update(task, completed=1)
    finish(rows, failed)


def in_fresh_process(name: str) -> list[Row]:
    """The rows of benchmarks/NAME.py. This process imports none of it: a child's peak memory includes its parent's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(rows_of, name).result()


def rows_of(name: str) -> list[Row]:
    """Import a benchmark and run it."""
    return importlib.import_module(name).rows()


if __name__ == "__main__":
    main()
