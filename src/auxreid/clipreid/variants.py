"""The ways to one text feature per identity that `prompts` in params.yaml names."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from auxreid.clip.text_tower import TextTower, encode_tokens
from auxreid.clipreid.attribute_sentences import sentence, thesis_sentence, tokens_sentence
from auxreid.clipreid.attribute_targets import contrastive_identity, contrastive_share, contrastive_smoothing
from auxreid.clipreid.identity_attributes import IdentityAttributes, share_of_equal
from auxreid.clipreid.placeholders import plain_sentence
from auxreid.plumbing.base.errors import DataError
from auxreid.training.precision import FULL


def learner_sentences(variant, word: str, identities: int, attributes: IdentityAttributes | None) -> list[str]:
    """The sentences [k] around the learned tokens of a variant of kind learned, random or attribute_tokens."""
    if variant.kind != "attribute_tokens":
        return [plain_sentence(word, variant.tokens)] * identities
    words = (attributes.words_of(identity) for identity in range(identities))
    return [tokens_sentence(one, word, variant.tokens, attributes.telling) for one in words]


def attribute_texts(variant, word: str, attributes: IdentityAttributes) -> list[str]:
    """The sentences [k] of a variant of kind attributes."""
    words = (attributes.words_of(identity) for identity in range(len(attributes.codes)))
    if variant.form == "thesis":
        return [thesis_sentence(one, word) for one in words]
    return [sentence(one, word, attributes.telling) for one in words]


def contrastive_targets(variant, attributes: IdentityAttributes | None) -> Callable[[Tensor], Tensor]:
    """A batch's identities [b] -> targets [b, b] of stage 1, as the variant's `targets` say."""
    kind = getattr(variant, "targets", None)
    if kind is None:
        return contrastive_identity
    share = torch.from_numpy(share_of_equal(attributes.codes)).float()  # [k, k]
    if kind == "attribute_share":
        return partial(contrastive_share, share=share)
    return partial(contrastive_smoothing, share=share, epsilon=variant.epsilon)


def encode_sentences(text: TextTower, sentences: Sequence[str], batch_size: int = 256, precision: str = FULL) -> Tensor:
    """Text features [k, e] of sentences [k], on the CPU; equal sentences get equal features, to the bit.

    Raises:
        DataError: a sentence is longer than CLIP reads, so that others that begin as it does would get its features.
    """
    import open_clip

    distinct = sorted(set(sentences))
    _check_lengths(distinct)
    features = encode_tokens(text, open_clip.tokenize(distinct), precision, batch_size)
    numbers = {one: number for number, one in enumerate(distinct)}
    return features[[numbers[one] for one in sentences]]


def _check_lengths(sentences: Sequence[str]) -> None:
    from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, SimpleTokenizer

    encode = SimpleTokenizer().encode
    for one in sentences:
        if (tokens := len(encode(one)) + 2) > DEFAULT_CONTEXT_LENGTH:  # with the start and the end
            remedy = "name fewer attributes, or shorter words"
            raise DataError(f"{one!r} has {tokens} tokens, CLIP reads {DEFAULT_CONTEXT_LENGTH}: {remedy}")


def centroids(features: Tensor, classes: np.ndarray) -> Tensor:
    """Mean image feature of each identity: features [n, e] and classes [n] in 0..k-1 -> [k, e]."""
    classes = torch.from_numpy(classes)
    sums = torch.zeros(int(classes.max()) + 1, features.shape[1]).index_add_(0, classes, features)
    return sums / torch.bincount(classes)[:, None]
