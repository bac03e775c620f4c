"""The encoder's file of a row of the study, found by the row's name."""

from dataclasses import dataclass
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.applicability import applicable_rows, baselines
from auxreid.plumbing.graph.table import encoder_path
from auxreid.plumbing.settings.config import BASELINES, Config
from auxreid.plumbing.settings.recipes import FULL_PRECISION


@dataclass(frozen=True)
class Trained:
    """An encoder's file, the precision that its row is evaluated in, and what a reader of its features must know."""

    path: Path
    precision: str = FULL_PRECISION
    dataset: str | None = None
    row: str | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """For a line on a terminal."""
        return str(self.path) if self.row is None else f"{self.row}-{self.seed} of {self.dataset}"

    def about(self) -> dict[str, object]:
        """What is known of it, for the metadata of a file."""
        known = {"dataset": self.dataset, "row": self.row, "seed": self.seed, "precision": self.precision}
        return {name: value for name, value in known.items() if value is not None}


def trained_encoder(config: Config, row: str, dataset: str | None = None, seed: int | None = None) -> Trained:
    """The encoder of a row.

    Args:
        dataset: of the study; None where the study has one with such rows.
        seed: None for the first one of the row.

    Raises:
        ConfigError: there is no such row, data set or seed.
        DataError: it is not trained; names the command that does it.
    """
    dataset = dataset_with_rows(config, dataset)
    rows = [*baselines(config, dataset), *applicable_rows(config, dataset)]
    if row not in rows:
        raise ConfigError(f"{row!r}: no such row of {dataset} in the study, which has {', '.join(rows)}")
    seeds = config.study.seeds if row in BASELINES else config.seeds(row)
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise ConfigError(f"seed {seed} of row {row}: the study has {', '.join(map(str, seeds))}")
    path = Path(encoder_path(config, dataset, row, seed))
    if not path.is_file():
        raise DataError(f"{path}: not here yet; make it with: dvc repro {path.parts[1]}@{path.parts[2]}")
    return Trained(path, config.recipe(dataset).precision, dataset, row, seed)


def dataset_with_rows(config: Config, named: str | None) -> str:
    """The data set that is meant.

    Raises:
        ConfigError: it is none of the study's that have rows, or none is named and there are several.
    """
    having = [name for name in config.study.datasets if config.recipe(name).has_chain]
    if named is None and len(having) == 1:
        return having[0]
    if named is not None and named in having:
        return named
    listed = ", ".join(having) or "none"
    if named is None:
        raise ConfigError(f"study.datasets: these have rows: {listed}; name one by --dataset")
    raise ConfigError(f"--dataset {named}: no data set of the study that has rows; these have: {listed}")
