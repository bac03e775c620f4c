"""What every section of params.yaml shares: no unknown keys, no change after loading, and the types of the values."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# Names become stage keys, <data set>-<row>-<seed>, and file names.
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]  # as its users call it
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Triple = tuple[float, float, float]
Seeds = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]


class Section(BaseModel):
    """A block of params.yaml: unknown keys are errors, values cannot change after loading.

    What a stage reads has no default but "not there" (None), which the code of the result's side interprets: no stage
    depends on this code here, so a value that can change a result has to stand in params.yaml.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def fault_lines(error: ValidationError, source: str) -> Iterator[str]:
    """A line for each fault: its path in `source`, what was found, and what is allowed."""
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        found = "" if fault["type"] == "missing" else f" = {fault['input']!r}"
        yield f"{source}: {place}{found}: {fault['msg']}"
