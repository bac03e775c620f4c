"""A fusion's fields as JSON."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from auxreid.plumbing.base.errors import DataError
from auxreid.search.calibration import calibration_record, read_calibration
from auxreid.search.decision import Thresholds
from auxreid.search.posterior import Posterior
from auxreid.search.text_image import TextImage

FORMAT = 1
ARRAYS = ("priors", "confusions")  # by attribute


def to_text(fields: Mapping[str, Any]) -> str:
    """Equal fields give equal text."""
    record = {name: dict(value) if isinstance(value, Mapping) else value for name, value in fields.items()}
    record["visual"] = calibration_record(fields["visual"])
    record["thresholds"], record["posterior"] = fields["thresholds"].record(), fields["posterior"].record()
    record["text"] = fields["text"] and fields["text"].record()
    for part in ARRAYS:
        record[part] = {name: values.tolist() for name, values in fields[part].items()}
    return json.dumps({"format": FORMAT, **record}, indent=1, allow_nan=False) + "\n"


def from_text(text: str) -> dict[str, Any]:
    """The fields.

    Raises:
        DataError: it is something else, or of another format.
    """
    try:
        fields = json.loads(text)
        if (found := fields.pop("format")) != FORMAT:
            raise DataError(f"a fusion of format {found}, this program reads {FORMAT}; the stage `search` makes one")
        for part in ARRAYS:
            fields[part] = {name: np.array(values, np.float64) for name, values in fields[part].items()}
        fields["vocabulary"] = {name: tuple(words) for name, words in fields["vocabulary"].items()}
        fields["visual"] = read_calibration(fields["visual"])
        fields["thresholds"] = Thresholds.read(fields["thresholds"])
        fields["posterior"] = Posterior.read(fields["posterior"])
        fields["text"] = fields["text"] and TextImage.read(fields["text"])
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"not a fusion ({type(error).__name__}: {error}); the stage `search` makes one") from error
    return fields
