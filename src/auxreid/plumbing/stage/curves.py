"""Curves of a training stage: logged as they grow, and written as one CSV for `dvc plots`."""

import csv
from pathlib import Path

from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.stage.run import Run


class Curves:
    """The `report` of a training loop: `curves({"loss": 0.3}, epoch)`."""

    def __init__(self, run: Run):
        self.run, self.rows = run, []

    def __call__(self, metrics: dict[str, float], epoch: int) -> None:
        self.run.log(metrics, step=epoch)
        self.rows.append({"epoch": epoch} | metrics)

    @property
    def last(self) -> dict[str, float]:
        """The metrics of the last epoch."""
        return {name: value for name, value in self.rows[-1].items() if name != "epoch"}

    def write(self, path: Path) -> None:
        """One row per epoch, none where nothing was trained; a metric that an epoch did not report stays empty."""
        names = list(dict.fromkeys(["epoch", *(name for row in self.rows for name in row)]))
        with finished_file(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
