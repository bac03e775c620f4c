"""Where a data set lies, and how it is read and evaluated."""

from typing import Literal

from pydantic import Field, model_validator

from auxreid.plumbing.settings.section import Name, PositiveInt, Section


class KeypointFile(Section):
    """A COCO-format keypoint file inside a data set's folder."""

    file: str
    images: str | None = None  # the folder that the file's image names are relative to; null: the data set's own


class DatasetConfig(Section):
    """Where a data set lies, how to read it, and by which protocol it is evaluated."""

    name: Name
    layout: Literal["market1501", "prid2011", "dogs"]
    folder: str
    protocol: Literal["market1501", "prid2011_single_shot", "prid2011_multi_shot", "dogs"]
    word: str = Field(pattern=r"^[a-z]+$")  # the noun of the prompt
    recipe: Name | None = None  # null: the data set is ingested, and no more
    attributes: str | None = None
    keypoints: KeypointFile | None = None
    splits: str | None = None
    # Of two cameras, in PRID2011's layout:
    shared_identities: PositiveInt | None = None  # the first so many are one person in both; null: all that both have
    min_frames: PositiveInt | None = None  # multi-shot: who has fewer in a camera takes no part; null: nobody
    n_splits: PositiveInt | None = None  # how many splits are drawn, or read from `splits`; null: one

    @property
    def has_attributes(self) -> bool:
        """Whether it may bring attributes: people's are in a table of their own, dogs' beside their paths."""
        return self.attributes is not None or self.layout == "dogs"

    @model_validator(mode="after")
    def _protocol_fits_layout(self) -> "DatasetConfig":
        if not self.protocol.startswith(self.layout):
            raise ValueError(f"protocol {self.protocol!r} does not fit layout {self.layout!r}")
        return self

    @model_validator(mode="after")
    def _splits_are_prid2011s(self) -> "DatasetConfig":
        for name in ("splits", "shared_identities", "min_frames", "n_splits"):
            if self.layout != "prid2011" and getattr(self, name) is not None:
                raise ValueError(f"{name} is for layout 'prid2011'")
        return self
