"""What every section of params.yaml shares: no unknown keys, no change after loading, and the types of the values."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

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

WORDS = {  # pydantic's, of JSON and of Python, which a reader of YAML may not know
    "tuple_type": "Input should be a list: [...]",
    "dict_type": "Input should be a block of keys and values",
    "model_type": "Input should be a block of keys and values",
    "model_attributes_type": "Input should be a block of keys and values",
}
FOUND_SHOWN = 80  # characters of a value that was found


class Section(BaseModel):
    """A block of params.yaml: unknown keys are errors, values cannot change after loading.

    What a stage reads has no default but "not there" (None), which the code of the result's side interprets: no stage
    depends on this code here, so a value that can change a result has to stand in params.yaml.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def replaced(self, values: Mapping[str, Any]) -> Self:
        """The same with other values, validated as these were. Raises pydantic's ValidationError."""
        return type(self).model_validate_json(json.dumps(self.model_dump() | values), strict=True)


def changes_of(section: type[Section], where: str) -> AfterValidator:
    """For a block that replaces some keys of a section: what is left of it are those with a value, None if none has.

    A key that the section does not have is a fault that names where it is looked for.
    """

    def given(changes: dict[str, Any] | None) -> dict[str, Any] | None:
        for key in changes or ():
            if key not in section.model_fields:
                raise ValueError(f"{key} is no key of a recipe's {where} ({', '.join(section.model_fields)})")
        return {key: value for key, value in (changes or {}).items() if value is not None} or None

    return AfterValidator(given)


@dataclass(frozen=True)
class Fault:
    """Something wrong with a value: its path in params.yaml, and what was found and is allowed."""

    path: tuple[str | int, ...]
    text: str

    @property
    def name(self) -> str:
        """The path as it is written."""
        return ".".join(map(str, self.path))


def faults(error: ValidationError) -> Iterator[Fault]:
    """What pydantic found, in the words of YAML."""
    found = error.errors()
    above = {one["loc"][:-1] for one in found}
    for one in found:
        if one["type"] == "too_short" and one["loc"] in above:  # it does not count the values that are wrong themselves
            continue
        found = "" if one["type"] == "missing" else f" = {_shortened(one['input'])}"
        yield Fault(one["loc"], f"{found}: {WORDS.get(one['type'], one['msg'])}")


def fault_lines(error: ValidationError, source: str) -> Iterator[str]:
    """A line for each fault: its path in `source`, what was found, and what is allowed."""
    return (f"{source}: {fault.name}{fault.text}" for fault in faults(error))


def _shortened(value: object) -> str:
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= FOUND_SHOWN else f"{text[:FOUND_SHOWN]}..."
