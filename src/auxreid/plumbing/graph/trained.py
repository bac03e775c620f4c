"""The file of a row's encoder, found by the row's name; of a metric row that of the pretrained encoder too."""

from dataclasses import dataclass
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.weights_header import read_header
from auxreid.plumbing.graph.applicability import applicable_rows, baselines
from auxreid.plumbing.graph.table import NOTHING, build_graph, encoder_path, ranked_with
from auxreid.plumbing.settings.config import BASELINES, Config
from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.settings.recipes import FULL_PRECISION

METRIC = Path("results/metric")
MODEL, BACKBONE = "model.safetensors", "backbone.safetensors"


@dataclass(frozen=True)
class Trained:
    """An encoder's file, the precision that its row is evaluated in, and what a reader of its features must know."""

    path: Path
    precision: str = FULL_PRECISION
    dataset: str | None = None
    row: str | None = None
    seed: int | None = None
    is_metric: bool = False
    backbone: Path | None = None  # of a metric row: the pretrained encoder; None: timm's without weights
    descriptors: Path | None = None  # of a row with `rank`
    hrnet: Path | None = None  # finds the joints, where the row takes a pose when it ranks
    attributes: Path | None = None  # the model of which descriptors take predictions

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
    if row in config.metric_names:
        return trained_metric_row(config, row, dataset, seed)
    dataset = dataset_with_rows(config, dataset)
    rows = [*baselines(config, dataset), *applicable_rows(config, dataset)]
    if row not in rows:
        raise ConfigError(f"{row!r}: no such row of {dataset} in the study, which has {', '.join(rows)}")
    seeds = config.study.seeds if row in BASELINES else config.seeds(row)
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        raise ConfigError(f"seed {seed} of row {row}: the study has {', '.join(map(str, seeds))}")
    path = _made(encoder_path(config, dataset, row, seed))
    beside = {name: Path(file) for name, file in ranked_with(config, dataset, row, seed).items()}
    for name in ("descriptors", "attributes"):
        if name in beside:
            _made(beside[name])
    return Trained(path, config.recipe(dataset).precision, dataset, row, seed, **beside)


def _made(file: str | Path) -> Path:
    """A file of results/. Raises DataError where it is not there."""
    path = Path(file)
    if not path.is_file():
        raise DataError(f"{path}: not here yet; make it with: dvc repro {path.parts[1]}@{path.parts[2]}")
    return path


def trained_metric_row(config: Config, row: str, dataset: str | None = None, seed: int | None = None) -> Trained:
    """As :func:`trained_encoder`, of a metric row, with the pretrained encoder that it starts from."""
    graph = build_graph(config)
    dataset = _meant(list(graph["metric_table"]), "metric rows", dataset)
    seed = config.study.seeds[0] if seed is None else seed
    key = f"{dataset}-{row}-{seed}"
    if key not in graph["metric"]:
        raise ConfigError(f"seed {seed} of row {row}: the study has {', '.join(map(str, config.study.seeds))}")
    path = METRIC / key / MODEL
    if not path.is_file():
        raise DataError(f"{path}: not here yet; make it with: dvc repro metric@{key}")
    features = Path(graph["metric"][key]["features"]).parent.name
    backbone = graph["metric_features"][features]["backbone"]
    precision = FULL_PRECISION if config.metric_rows[row].trained else config.recipe(dataset).precision
    return Trained(path, precision, dataset, row, seed, True, None if backbone.startswith(NOTHING) else Path(backbone))


def given_file(path: Path) -> Trained:
    """The encoder of a file that a user names, in full precision; a metric model's as its row's, if it is the study's.

    Raises:
        DataError: it is a metric model elsewhere, without its pretrained encoder beside it.
    """
    if not path.is_file() or not isinstance(read_header(path).get("backbone"), dict):
        return Trained(path)
    if (beside := path.with_name(BACKBONE)).is_file():  # as MLflow's model has it
        return Trained(path, is_metric=True, backbone=beside)
    if path.resolve() == (METRIC / path.parent.name / MODEL).resolve():
        config = load_config()
        if entry := build_graph(config)["metric"].get(path.parent.name):
            return trained_metric_row(config, entry["row"], entry["dataset"], entry["seed"])
    raise DataError(f"{path}: a metric model, whose pretrained encoder must lie beside it as {BACKBONE}")


def dataset_with_rows(config: Config, named: str | None) -> str:
    """The data set that is meant.

    Raises:
        ConfigError: it is none of the study's that have rows, or none is named and there are several.
    """
    return _meant([name for name in config.study.datasets if config.recipe(name).has_chain], "rows", named)


def has_metric_rows_alone(config: Config, dataset: str | None) -> bool:
    """Whether the rows of a data set that is named are metric ones alone."""
    return dataset in build_graph(config)["metric_table"] and not config.recipe(dataset).has_chain


def _meant(having: list[str], what: str, named: str | None) -> str:
    if named is None and len(having) == 1:
        return having[0]
    if named is not None and named in having:
        return named
    listed = ", ".join(having) or "none"
    if named is None:
        raise ConfigError(f"study.datasets: these have {what}: {listed}; name one by --dataset")
    raise ConfigError(f"--dataset {named}: no data set of the study that has {what}; these have: {listed}")
