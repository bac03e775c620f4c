"""Where a data set lies, and how it is read and evaluated."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from auxreid.plumbing.settings.section import DatasetName, Name, NonNegativeInt, PositiveInt, Section


class PredictedBy(Section):
    """The data set whose attribute model says what this one's folder does not."""

    predicted_by: DatasetName


def table_or_model(value: Any) -> str | PredictedBy | None:
    """Of `attributes`: a table's name, or {predicted_by: DATA_SET}; in one line what is wrong with anything else."""
    if value is None or isinstance(value, str):
        return value
    try:
        return PredictedBy.model_validate(value, strict=True)
    except ValidationError:
        raise ValueError("allowed are a table's name, or {predicted_by: DATA_SET}") from None


class Keypoints(Section):
    """A COCO-format keypoint file inside a data set's folder, or the data set whose HRNet finds the keypoints."""

    file: str | None = None
    images: str | None = None  # the folder that the file's image names are relative to; null: the data set's own
    predicted_by: DatasetName | None = None

    @model_validator(mode="after")
    def _of_a_file_or_a_model(self) -> "Keypoints":
        if (self.file is None) == (self.predicted_by is None):
            raise ValueError("keypoints have a file, or a data set that they are predicted_by: one of the two")
        if self.images is not None and self.file is None:
            raise ValueError("images goes with file")
        return self


class TrainIdentities(Section):
    """Which of the training identities are kept; the images of the others are left out at the ingest."""

    count: PositiveInt | None = None  # so many, evenly over the sorted identities; null: all of the part
    parts: Annotated[int, Field(ge=2)] | None = None  # the sorted identities are dealt in turns to so many parts
    part: NonNegativeInt | None = None  # which of them, from 0 on

    @model_validator(mode="after")
    def _names_a_part(self) -> "TrainIdentities":
        if (self.parts is None) != (self.part is None):
            raise ValueError("parts and part go together")
        if self.parts is not None and self.part >= self.parts:
            raise ValueError(f"part is {self.part}, allowed are 0..{self.parts - 1}")
        if self.parts is None and self.count is None:
            raise ValueError("neither count nor parts is given")
        return self


def number_or_part(value: Any) -> TrainIdentities | None:
    """Of `train_identities`: a number, or {parts: P, part: K, count: N}; in one line what is wrong with others."""
    if value is None or isinstance(value, TrainIdentities):
        return value
    try:
        return TrainIdentities.model_validate(value if isinstance(value, dict) else {"count": value}, strict=True)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"{why}; allowed are a number, or {{parts: P, part: K}} with or without a count") from None


class Folders(Section):
    """The folder of each split, in Market-1501's layout."""

    train: str
    query: str
    gallery: str


class Lists(Section):
    """The lists of each split, in MSMT17's form."""

    train: tuple[str, ...] = Field(min_length=1)
    query: tuple[str, ...] = Field(min_length=1)
    gallery: tuple[str, ...] = Field(min_length=1)


# The keys that one layout reads alone.
OF_LAYOUT = {
    "prid2011": ("splits", "shared_identities", "min_frames", "n_splits"),
    "market1501": ("file_name", "folders", "lists"),
    "csv": ("table", "columns"),
}


class DatasetConfig(Section):
    """Where a data set lies, how to read it, and by which protocol it is evaluated."""

    name: DatasetName
    layout: Literal["market1501", "prid2011", "dogs", "csv"]
    folder: str
    protocol: Literal["market1501", "prid2011_single_shot", "prid2011_multi_shot", "dogs"]
    word: str = Field(pattern=r"^[a-z]+$")  # the noun of the prompt
    recipe: Name | None = None  # null: the data set is ingested, and no more
    trained_on: DatasetName | None = None  # the data set whose encoders are tested on this one; null: its own
    attributes: Annotated[str | PredictedBy | None, BeforeValidator(table_or_model)] = None
    vocabulary: Name | None = None  # of `vocabularies`, for animals; null: dogs' in protocol dogs, else people's
    keypoints: Keypoints | None = None
    splits: str | None = None
    train_identities: Annotated[TrainIdentities | None, BeforeValidator(number_or_part)] = None  # null: all
    # Of two cameras, in PRID2011's layout:
    shared_identities: PositiveInt | None = None  # the first so many are one person in both; null: all that both have
    min_frames: PositiveInt | None = None  # multi-shot: who has fewer in a camera takes no part; null: nobody
    n_splits: PositiveInt | None = None  # how many splits are drawn, or read from `splits`; null: one
    # Of sets like Market-1501, in its layout:
    file_name: str | None = None  # a regular expression of names without ending: groups camera, identity, sequence
    folders: Folders | None = None  # null: Market-1501's
    lists: Lists | None = None  # null: a split is all of its folder, and names say who is on an image
    # Of a table, in layout csv:
    table: str | None = None  # null: frames.csv
    columns: dict[str, str] | None = None  # the table's name of each column that it calls otherwise

    @property
    def has_attributes(self) -> bool:
        """Whether it may have attributes: in a table of its own, beside the paths of a table of images or predicted."""
        return self.attributes is not None or self.layout in ("dogs", "csv")

    @property
    def attribute_table(self) -> str | None:
        """The file of attributes in its folder."""
        return self.attributes if isinstance(self.attributes, str) else None

    @property
    def attributes_by(self) -> str | None:
        """The data set whose model predicts its attributes; None where they are its own, or it has none."""
        return self.attributes.predicted_by if isinstance(self.attributes, PredictedBy) else None

    @property
    def keypoints_by(self) -> str | None:
        """The data set whose HRNet finds its keypoints; None where its own does, or none."""
        return None if self.keypoints is None else self.keypoints.predicted_by

    @property
    def trainer(self) -> str:
        """The data set whose training makes the encoders that are tested on it: mostly itself."""
        return self.trained_on or self.name

    @property
    def of_animals(self) -> bool:
        """Whether individuals are described as animals are; else as people are."""
        return self.vocabulary is not None or self.protocol == "dogs"

    @property
    def has_cameras(self) -> bool:
        """Whether individuals are told apart by cameras; else by sequences."""
        return self.protocol != "dogs"

    @model_validator(mode="after")
    def _protocol_fits_layout(self) -> "DatasetConfig":
        allowed = ("market1501", "dogs") if self.layout == "csv" else (self.layout,)
        if not self.protocol.startswith(allowed):
            raise ValueError(f"protocol {self.protocol!r} does not fit layout {self.layout!r}")
        return self

    @model_validator(mode="after")
    def _keys_fit_layout(self) -> "DatasetConfig":
        for layout, names in OF_LAYOUT.items():
            for name in names:
                if self.layout != layout and getattr(self, name) is not None:
                    raise ValueError(f"{name} is for layout {layout!r}")
        if self.layout in ("dogs", "csv") and self.attribute_table is not None:
            raise ValueError(f"attributes are columns of the table in layout {self.layout!r}")
        if self.layout not in ("dogs", "csv") and self.vocabulary is not None:
            raise ValueError("vocabulary is for the layouts 'dogs' and 'csv'")
        return self

    @model_validator(mode="after")
    def _parts_of_one_split(self) -> "DatasetConfig":
        asked, number = self.train_identities, self.n_splits or 1
        if asked is not None and asked.parts is not None and number > 1:
            raise ValueError(f"train_identities has parts, whose people would be tested in others of {number} n_splits")
        return self

    @model_validator(mode="after")
    def _file_name_has_groups(self) -> "DatasetConfig":
        if self.file_name is None:
            return self
        try:
            groups = re.compile(self.file_name).groupindex
        except re.error as error:
            raise ValueError(f"file_name is not a regular expression: {error}") from None
        for name in ("camera",) if self.lists else ("camera", "identity"):
            if name not in groups:
                raise ValueError(f"file_name has no group {name}: (?P<{name}>...) with digits in it")
        return self
