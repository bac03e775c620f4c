"""What is to be known of predicted attributes before they are trusted: nobody has labelled the pictures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from auxreid.data.frames import Frames
from auxreid.data.labels import agreed_words

NEARLY_ALL = 0.95  # of the individuals


def label_report(
    frames: Frames, predicted_by: str, vocabulary: Mapping[str, Sequence[str]], probabilities: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """How sure the model is of each attribute, how far an individual's frames agree, and which words occur.

    Individuals are taken over all their frames, whatever split these are in.

    Args:
        frames: n frames.
        predicted_by: the data set whose model it is.
        vocabulary: attribute -> words.
        probabilities: per attribute [n, k].
    Returns:
        counts; `attributes` by name; `one_word`, the attributes that have the same word for all individuals, and
        `nearly_one_word`, those that have it for NEARLY_ALL of them.
    """
    known = frames.identity > 0
    attributes = {name: _attribute(frames, words, probabilities[name]) for name, words in vocabulary.items()}
    largest = {name: _share_of_largest(one["individuals"]) for name, one in attributes.items()}
    return {
        "dataset": frames.meta.dataset,
        "predicted_by": predicted_by,
        "frames": len(frames),
        "individuals": len(np.unique(frames.identity[known])),
        "frames_of_nobody_known": int((~known).sum()),
        "attributes": attributes,
        "one_word": [name for name, share in largest.items() if share == 1],
        "nearly_one_word": [name for name, share in largest.items() if NEARLY_ALL <= share < 1],
    }


def _share_of_largest(counts: Mapping[str, int]) -> float:
    return max(counts.values()) / max(1, sum(counts.values()))


def _attribute(frames: Frames, words: Sequence[str], probabilities: np.ndarray) -> dict[str, Any]:
    everywhere = np.full(len(frames), "", dtype=object)
    agreed, alone = agreed_words(probabilities, frames.identity, everywhere), probabilities.argmax(axis=1)
    known = frames.identity > 0
    _, first = np.unique(frames.identity[known], return_index=True)
    counted = agreed[known][first] if known.any() else alone  # where nobody is known, each frame counts
    return {
        "mean_probability": round(float(probabilities.max(axis=1).mean()), 4),
        "frames_that_agree": round(float((agreed == alone).mean()), 4),
        "individuals": {word: int((counted == place).sum()) for place, word in enumerate(words)},
        "frames": {word: int((alone == place).sum()) for place, word in enumerate(words)},
    }


def report_figures(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a report's record."""
    found = report["attributes"].values()
    means = {name: float(np.mean([one[name] for one in found])) for name in ("mean_probability", "frames_that_agree")}
    counts = {name: report[name] for name in ("frames", "individuals")}
    return counts | means | {"attributes": len(found), "attributes_of_one_word": len(report["one_word"])}


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for a terminal: a line per attribute, and a note of those that tell nobody apart."""
    who = f"{report['frames']} images of {report['individuals']} individuals"
    yield f"{report['dataset']}: {who}, attributes predicted by {report['predicted_by']}"
    for name, one in report["attributes"].items():
        words = ", ".join(f"{word} {count}" for word, count in one["individuals"].items())
        sure = f"mean probability {one['mean_probability']:.2f}, {one['frames_that_agree']:.0%} of frames agree"
        yield f"  {name}: {words} ({sure})"
    if report["one_word"]:
        yield f"  note: one word for all, which tells nobody apart: {', '.join(report['one_word'])}"
    if report["nearly_one_word"]:
        named = ", ".join(report["nearly_one_word"])
        yield f"  note: one word for {NEARLY_ALL:.0%} or more, which tells few apart: {named}"
