"""params.yaml as a whole: validated, frozen objects."""

from typing import Annotated

from pydantic import AfterValidator, Field

from auxreid.plumbing.settings.datasets import DatasetConfig
from auxreid.plumbing.settings.metric import MetricRow
from auxreid.plumbing.settings.pretrainings import Pretraining
from auxreid.plumbing.settings.recipes import RecipeConfig
from auxreid.plumbing.settings.rows import AblationConfig, PromptVariant
from auxreid.plumbing.settings.section import DatasetName, Name, Section
from auxreid.plumbing.settings.study import CompareConfig, RegistryConfig, Study
from auxreid.plumbing.settings.vocabularies import AnimalVocabulary

BASELINES = ("untrained", "image_weights", "pretrained")  # rows that a comparison may have besides the ablations
FIRST_ENCODERS = ("untrained", "image_weights")  # those before CLIP's pre-training, of which a data set has one
REFERENCE_ROW = "clip_reid"  # the row that the others are compared with
METRIC_REFERENCE = "untouched"  # the metric row that the others are compared with: the encoder as it is


def told_apart(datasets: dict[str, DatasetConfig]) -> dict[str, DatasetConfig]:
    """Raises ValueError for names that are one folder where a file system takes no notice of capitals."""
    names: dict[str, str] = {}
    for name in datasets:
        if other := names.get(name.lower()):
            raise ValueError(f"{other} and {name} differ in capitals alone")
        names[name.lower()] = name
    return datasets


class Config(Section):
    """All of params.yaml."""

    study: Study
    datasets: Annotated[dict[DatasetName, DatasetConfig], AfterValidator(told_apart)]
    vocabularies: dict[Name, AnimalVocabulary] = Field(default_factory=dict)
    recipes: dict[Name, RecipeConfig]
    pretrainings: dict[Name, Pretraining] = Field(default_factory=dict)
    prompts: dict[Name, PromptVariant]
    ablations: dict[Name, AblationConfig]
    metric_rows: dict[Name, MetricRow] = Field(default_factory=dict)
    compare: CompareConfig
    registry: RegistryConfig | None = RegistryConfig()  # null: no encoder is registered

    def recipe(self, dataset: str) -> RecipeConfig:
        """The recipe that a data set names; an empty one where it names none."""
        name = self.datasets[dataset].recipe
        return RecipeConfig() if name is None else self.recipes[name]

    @property
    def rows(self) -> tuple[str, ...]:
        """The ablations of the study, in the order of params.yaml."""
        return tuple(name for name in self.ablations if self.study.rows is None or name in self.study.rows)

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metric rows of the study, in the order of params.yaml."""
        asked = self.study.metric_rows
        return tuple(name for name in self.metric_rows if asked is None or name in asked)

    def rows_needed_by(self, row: str) -> set[str]:
        """The rows whose tuned encoders a row uses directly: as stage 2's start, for its prompts' image features, or to
        rank them."""
        ablation = self.ablations[row]
        variant = self.prompts.get(ablation.prompts) if ablation.prompts is not None else None
        used = (ablation.start, getattr(variant, "encoder", None), ablation.encoder_of)
        return {name for name in used if name in self.ablations}

    def verb(self, row: str) -> str:
        """What a row does with those that :meth:`rows_needed_by` names, for a sentence."""
        return "starts from" if self.ablations[row].rank is None else "ranks the encoder of"

    def trained_row(self, row: str) -> AblationConfig | None:
        """The block of the row that trains the encoder that a row ranks, mostly its own; None: a baseline's encoder."""
        body = self.ablations.get(row)
        return body if body is None or body.encoder_of is None else self.ablations.get(body.encoder_of)

    def ranks_pose(self, row: str) -> bool:
        """Whether the images that a row ranks need their pose, for itself or for the encoder that it ranks."""
        return any(body is not None and body.ranks_pose for body in (self.ablations.get(row), self.trained_row(row)))

    def pretrainings_of(self, row: str) -> tuple[str, ...]:
        """The pre-trainings, other than the plain one, that a row uses directly, as it does rows."""
        ablation = self.ablations[row]
        variant = self.prompts.get(ablation.prompts) if ablation.prompts is not None else None
        used = dict.fromkeys((ablation.start, getattr(variant, "encoder", None)))
        return tuple(name for name in used if name in self.pretrainings)

    def seeds(self, row: str) -> tuple[int, ...]:
        """The seeds that a row runs with."""
        return self.study.seeds_of(row)
