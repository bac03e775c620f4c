"""The attributes that an idea of a row trains with, or their control."""

from dataclasses import replace

import numpy as np

from auxreid.clipreid.auxiliary import Context
from auxreid.clipreid.identity_attributes import IdentityAttributes, identity_attributes


def training_attributes(context: Context, shuffled: bool) -> IdentityAttributes:
    """What is known of each training identity.

    Args:
        shuffled: each identity gets all attributes of another, drawn by the seed: their words and their company stay as
            often as they are, and say nothing of who has them.

    Raises:
        DataError: the frames have no attributes, or contradict each other.
    """
    known = identity_attributes(context.frames, context.classes)
    return _of_others(known, context.seed) if shuffled else known


def image_attributes(context: Context, shuffled: bool) -> IdentityAttributes:
    """What was predicted of each training image: codes [n, A] of images in the place of identities.

    Args:
        shuffled: each image gets all attributes of another, drawn by the seed.

    Raises:
        DataError: the attributes are not predicted ones.
    """
    frames = context.frames
    codes = np.stack([frames.image_codes(name) for name in frames.meta.attributes], axis=1)
    known = replace(identity_attributes(frames, context.classes), codes=codes)
    return _of_others(known, context.seed) if shuffled else known


def _of_others(known: IdentityAttributes, seed: int) -> IdentityAttributes:
    return replace(known, codes=known.codes[np.random.default_rng(seed).permutation(len(known.codes))])
