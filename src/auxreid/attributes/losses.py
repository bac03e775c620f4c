"""Losses of the multi-task classifier: a cross-entropy per attribute over the rows that have a label."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

MISSING = -1  # code of a label that is not there


def masked_cross_entropy(
    logits: Tensor, codes: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Mean over the labelled rows of w[y] * CE(logits, q), with q = (1 - smoothing) * onehot(y) + smoothing / k.

    A row whose code is -1 adds nothing, to the value and to the gradient. With no labelled row the loss is 0 and still
    has a graph. The mean divides by the number of labelled rows and not by the sum of their weights: over many batches
    this estimates the loss of the whole training set without bias.

    >>> masked_cross_entropy(torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.tensor([0, -1]))
    tensor(0.6931)

    Args:
        logits: [b, k]
        codes: int64 [b], 0..k-1, or -1 where the label is missing
        class_weights: [k], default 1
        smoothing: share of the target spread evenly over the k classes
    """
    labelled = codes != MISSING  # [b]
    targets = codes.clamp(min=0)  # any valid class; masked below
    log_probabilities = logits.log_softmax(dim=1)  # [b, k]
    of_target = log_probabilities.gather(1, targets[:, None])[:, 0]  # [b]
    losses = -(1.0 - smoothing) * of_target - smoothing * log_probabilities.mean(dim=1)  # [b]
    if class_weights is not None:
        losses = losses * class_weights[targets]
    return torch.where(labelled, losses, 0.0).sum() / labelled.sum().clamp(min=1)


def multitask_loss(
    logits: Mapping[str, Tensor],
    codes: Mapping[str, Tensor],
    class_weights: Mapping[str, Tensor] | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Mean over the attributes of their masked cross-entropies.

    Args:
        logits: per attribute [b, k]
        codes: per attribute int64 [b], see :func:`masked_cross_entropy`
        class_weights: per attribute [k]
    """
    weights = class_weights or {}
    heads = [masked_cross_entropy(logits[name], codes[name], weights.get(name), smoothing) for name in logits]
    return torch.stack(heads).mean()


def mixed_loss(
    classify: Callable[[Tensor], Mapping[str, Tensor]],
    features: Tensor,
    codes: Mapping[str, Tensor],
    class_weights: Mapping[str, Tensor],
    settings: Any,
) -> Tensor:
    """The multi-task loss of features, with those of two rows mixed if `settings.mixup` is given.

    Of a share l ~ Beta(mixup, mixup), one for the batch, and each row's partner in a shuffled batch, the features are
    l * row + (1 - l) * partner, and the loss is l times that of the row's codes and (1 - l) times that of its
    partner's (mixup, Zhang et al. 2018, on features as in manifold mixup, Verma et al. 2019).

    Args:
        classify: features [b, d] -> per attribute logits [b, k]
        features: [b, d]
        settings: the attributes section of a recipe
    """
    smoothing = settings.label_smoothing
    if settings.mixup is None:
        return multitask_loss(classify(features), codes, class_weights, smoothing)
    share = float(torch.distributions.Beta(settings.mixup, settings.mixup).sample())
    partners = torch.randperm(len(features)).to(features.device)
    logits = classify(share * features + (1 - share) * features[partners])
    of_partners = {name: one[partners] for name, one in codes.items()}
    own = multitask_loss(logits, codes, class_weights, smoothing)
    return share * own + (1 - share) * multitask_loss(logits, of_partners, class_weights, smoothing)


def inverse_frequency(codes: Tensor, classes: int) -> Tensor:
    """Weights n / (k' * n_c) [classes] of the classes by their labels; k' counts the classes that occur at all.

    The mean weight of a labelled row is 1. A class without a label gets 0: no row can use its weight.

    Args:
        codes: int64 [n], -1 where the label is missing
    """
    counts = torch.bincount(codes[codes != MISSING], minlength=classes).double()  # [classes]
    occurring = counts > 0
    weights = counts.sum() / (occurring.sum().clamp(min=1) * counts.clamp(min=1))
    return torch.where(occurring, weights, 0.0).float()
