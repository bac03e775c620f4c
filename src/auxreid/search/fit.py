"""The fusion from calibration dogs: known ones that neither the classifier nor the embedding has learnt from."""

from dataclasses import replace
from functools import reduce

import numpy as np

from auxreid.metric.validation import deal_folds
from auxreid.search.calibration import Calibration, best_calibration
from auxreid.search.decision import set_thresholds
from auxreid.search.examples import (
    VISUAL,
    Calibrating,
    Examples,
    Extra,
    extra_examples,
    limited,
    predicted_examples,
    similarities,
    stated_examples,
)
from auxreid.search.fusion import Fusion
from auxreid.search.left_out import LeftOut
from auxreid.search.pairs import Pairs, draw_pairs, halved
from auxreid.search.posterior import fit_posterior
from auxreid.search.text_fit import fit_text
from auxreid.search.weights import fit_weights, log_loss

FOLDS = 5  # of calibration dogs
MOST = 2000  # photographs of calibration dogs: time and memory grow with their square
RIDGE = 3e-3  # of 1e-4 to 1e-1 the one of the least log loss on dogs left out, drawn ones and real ones
SOFTNESSES = (0.05, 0.1, 0.2, 0.3)  # labels are surer than people, so that none is below the first
SOFTNESS_WITHOUT_LABELS = 0.1
STATED_SHARE = 0.5  # of the attributes, in the examples from which the weights of statements are learnt
DRAWS = 4  # of the statements, for each pair


def fit_fusion(known: Calibrating, model: str, seed: int = 0, extra: Extra | None = None) -> Fusion:
    """Calibration, weights and softness, and thresholds and posterior by dogs that are left out, of the fit and
    for thresholds of the base too.

    Args:
        model: hash of the networks.
        seed: of the folds of dogs, and of the pairs and statements that are drawn.

    Raises:
        ValueError: too few dogs, or too few sequences.
    """
    known = limited(known, MOST, seed)
    fusion = fit_on(known, np.arange(len(known.dog)), model, seed, extra)
    dealt = deal_folds(known.dog, FOLDS, seed)
    left_out = LeftOut(known, dealt, lambda rows: fit_on(known, rows, model, seed, extra), seed)
    thresholds = set_thresholds(list(left_out.strangers()), seed)
    return replace(fusion, thresholds=thresholds, posterior=fit_posterior(left_out.scores(), left_out.own))


def fit_on(known: Calibrating, rows: np.ndarray, model: str, seed: int, extra: Extra | None = None) -> Fusion:
    """From some of the photographs, without thresholds and posterior; as :func:`fit_fusion`."""
    fold = np.zeros(len(known.dog), np.int64) if known.fold is None else known.fold
    pairs = draw_pairs(known.looks.embedding, known.dog, known.sequence, fold, rows, seed)
    dealt = deal_folds(known.dog, FOLDS, seed)
    folds = np.stack([dealt[pairs.first], dealt[pairs.second]], axis=1)
    visual, losses = best_calibration(similarities(known, pairs), pairs.same, folds)
    examples = _with_feedback(predicted_examples(known, pairs), known, pairs, extra)
    weights, loss = _weights(examples, visual)
    softness = _softness(known, pairs, visual, weights, seed)
    if known.labelled:
        drawn = [stated_examples(known, pairs, softness, (seed, one), STATED_SHARE) for one in range(DRAWS)]
        examples = _with_feedback(reduce(Examples.joined, drawn), known, pairs, extra)
    stated_weights, _ = _stated_weights(examples, visual, weights)
    names = list(known.vocabulary)

    def llr_of(one: Examples) -> np.ndarray:
        return one.columns(visual) @ weights + one.stated @ stated_weights

    return Fusion(
        model=model,
        vocabulary=known.vocabulary,
        visual=visual,
        priors=known.priors,
        confusions=known.confusions,
        weights=dict(zip([VISUAL, *names], weights.tolist(), strict=True)),
        stated_weights=dict(zip(names, stated_weights.tolist(), strict=True)),
        softness=softness,
        thresholds=None,
        posterior=None,
        text=fit_text(known, pairs, folds, softness, llr_of, RIDGE),
        about={
            "dogs": len(np.unique(known.dog[rows])),
            "photographs": len(rows),
            "pairs_of_one_dog": int(pairs.same.sum()),
            "pairs_of_two": int((~pairs.same).sum()),
            "pairs_from_feedback": 0 if extra is None else len(extra.same),
            "labelled": known.labelled,
            "visual_held_out_log_loss": {name: value for name, value in losses.items() if np.isfinite(value)},
            "log_loss": loss,
        },
    )


def _with_feedback(examples: Examples, known: Calibrating, pairs: Pairs, extra: Extra | None) -> Examples:
    """With the pairs from feedback, if there are any, and both kinds of pairs with equal weight."""
    if extra is not None and len(extra.same):
        examples = examples.joined(extra_examples(extra, known, pairs))
    return replace(examples, weight=halved(examples.same, examples.weight))


def _weights(examples: Examples, visual: Calibration) -> tuple[np.ndarray, float]:
    """Of the visual term and of predicted attributes [1 + a], from pairs for which nothing is stated; and the loss."""
    plain = ~examples.said.any(axis=1)
    values, same, weight = examples.columns(visual)[plain], examples.same[plain], examples.weight[plain]
    found = fit_weights(values, same, weight, ridge=RIDGE)
    return found.weights, log_loss(values @ found.weights + found.offset, same, weight)


def _stated_weights(examples: Examples, visual: Calibration, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Of stated attributes [a], beside the others as they are; and the loss.

    A statement counts in full unless pairs say otherwise.
    """
    given = examples.columns(visual) @ weights
    found = fit_weights(examples.stated, examples.same, examples.weight, ridge=RIDGE, towards=1.0, given=given)
    llr = given + examples.stated @ found.weights + found.offset
    return found.weights, log_loss(llr, examples.same, examples.weight)


def _softness(known: Calibrating, pairs: Pairs, visual: Calibration, weights: np.ndarray, seed: int) -> float:
    """That of the least log loss where a person states all attributes."""
    if not known.labelled:
        return SOFTNESS_WITHOUT_LABELS
    losses = {
        one: _stated_weights(stated_examples(known, pairs, one, (seed,), 1.0), visual, weights)[1] for one in SOFTNESSES
    }
    return min(losses, key=lambda one: losses[one])
