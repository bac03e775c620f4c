"""Joint lists: which joints swap in a mirror, and the description of a joint list that mmpose reads."""

import re
from collections.abc import Sequence
from typing import Any

from auxreid.plumbing.base.errors import DataError

MIRROR = {"left": "right", "right": "left", "l": "r", "r": "l"}
SIDE = re.compile(r"^(?P<front>left|right|l|r)(?=_)|(?<=_)(?P<back>left|right)$", re.IGNORECASE)
SIGMA = 0.05  # spread of a joint in COCO's similarity measure: mmpose wants one, a heat map loss does not use it


def mirrored_name(name: str) -> str:
    """The joint that `name` becomes in a mirror: `left_hip` -> `right_hip`, `nose` -> `nose`.

    Sides are `left_`/`right_` or `l_`/`r_` in front (AP-10K has `L_F_Paw`), or `_left`/`_right` behind, in any case.
    """
    return SIDE.sub(lambda found: _in_case_of(found[0], MIRROR[found[0].lower()]), name)


def _in_case_of(pattern: str, word: str) -> str:
    if pattern.isupper():
        return word.upper()
    return word.capitalize() if pattern[0].isupper() else word


def flip_indices(joints: Sequence[str]) -> list[int]:
    """For each joint the number of the joint that takes its place in a mirrored image.

    Raises:
        DataError: a joint's counterpart is not in the list, or a name stands there twice.
    """
    numbers = {name: number for number, name in enumerate(joints)}
    if len(numbers) < len(joints):
        raise DataError(f"joints {list(joints)}: a name stands there twice")
    alone = [name for name in joints if mirrored_name(name) not in numbers]
    if alone:
        wanted = ", ".join(f"{name} (needs {mirrored_name(name)})" for name in alone)
        raise DataError(f"joints without their counterpart on the other side: {wanted}")
    return [numbers[mirrored_name(name)] for name in joints]


def flip_pairs(joints: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of joint numbers that swap in a mirror, each once, smaller number first."""
    return [(number, other) for number, other in enumerate(flip_indices(joints)) if number < other]


def mmpose_metainfo(joints: Sequence[str], skeleton: Sequence[Sequence[int]] = ()) -> dict[str, Any]:
    """A joint list in the form of mmpose's `metainfo`; `skeleton` holds pairs of joint numbers from 0."""
    swaps = flip_indices(joints)
    return {
        "dataset_name": "auxreid",
        "keypoint_info": {
            number: {
                "name": name,
                "id": number,
                "type": "",
                "swap": "" if swaps[number] == number else joints[swaps[number]],
            }
            for number, name in enumerate(joints)
        },
        "skeleton_info": {
            number: {"link": (joints[start], joints[end]), "id": number} for number, (start, end) in enumerate(skeleton)
        },
        "joint_weights": [1.0] * len(joints),
        "sigmas": [SIGMA] * len(joints),
    }
