"""How an attribute classifier does on individuals, or breeds, that it has not seen, without a look at the test frames.

    python benchmarks/attribute_folds.py results/ingest/dogs/frames.arrow --recipe dogs [--folds 6] [--set dropout=0.2]

The individuals of train and val (folders where they are unknown) are dealt into folds. For each fold the stage's own
training runs on the others, of which it holds some out, or deals folds of its own, to choose its epoch and to calibrate
by; the frames of all folds are then scored together, as Table 1 scores. This is the way to choose a recipe's values,
and more frames to measure calibration on than a small test split has. The reference is scikit-learn's logistic
regression of each attribute, on the features of the same backbone as it comes, with balanced classes.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml
from result import print_table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from auxreid.attributes.calibration import binned_errors, calibration_error, swept_errors
from auxreid.attributes.dataset import attribute_codes, with_labels
from auxreid.attributes.groups import deal, groups_of
from auxreid.attributes.losses import MISSING
from auxreid.attributes.metrics import mean_metrics, score_attributes
from auxreid.attributes.model import AttributeModel, build_backbone
from auxreid.attributes.predict import embed_frames, predict_logits
from auxreid.attributes.train import fit
from auxreid.data.frames import Frames, open_frames
from auxreid.plumbing.settings.load import load_config
from auxreid.training.precision import FULL

ROOT = Path(__file__).resolve().parents[1]
STRENGTH = 1e-4  # C of the reference, the best of 1e-4 and 1e-3 on photographs of dogs
Probabilities = dict[str, np.ndarray]  # per attribute [n, k]
Pair = tuple[Probabilities, Probabilities]  # scores and calibrated probabilities
Learn = Callable[[np.ndarray], Callable[[np.ndarray], Pair]]  # from training rows: from rows to predictions


def by_stage(path: Path, frames: Frames, settings: Any) -> Learn:
    """The stage's training."""

    def learn(rows: np.ndarray) -> Callable[[np.ndarray], Probabilities]:
        given = open_frames(path)
        given.split = np.full(len(given), "none", dtype=object)
        given.split[frames.frame_id[rows]] = "train"
        model = fit(given, settings, lambda *_: None).model

        def predict(asked: np.ndarray) -> Pair:
            logits = predict_logits(model, frames.take(asked), settings)
            return model.calibration.scores(logits), model.calibration.probabilities(logits)

        return predict

    return learn


def by_regression(frames: Frames, settings: Any) -> Learn:
    """A logistic regression per attribute on the backbone's features as it comes."""
    model = AttributeModel(build_backbone(settings.backbone, settings.weights), frames.meta.attributes, frozen=True)
    features = embed_frames(model, frames, settings, settings.batch_size, FULL)[0].numpy()
    codes = attribute_codes(frames, model.vocabulary)

    def learn(rows: np.ndarray) -> Callable[[np.ndarray], Probabilities]:
        heads = {}
        for name, one in codes.items():
            used = rows[one[rows] != MISSING]
            regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=200)
            heads[name] = make_pipeline(StandardScaler(), regression).fit(features[used], one[used])

        def predict(asked: np.ndarray) -> Pair:
            found = {name: np.zeros((len(asked), len(words))) for name, words in model.vocabulary.items()}
            for name, head in heads.items():
                found[name][:, head.classes_] = head.predict_proba(features[asked])
            return found, found

        return predict

    return learn


def measured(frames: Frames, folds: np.ndarray, learn: Learn) -> list[str]:
    """Means over the attributes on the frames of all folds, each predicted by a training on the others."""
    vocabulary = frames.meta.attributes
    scores = {name: np.zeros((len(frames), len(words))) for name, words in vocabulary.items()}
    predicted = {name: values.copy() for name, values in scores.items()}
    for fold in range(folds.max() + 1):
        rows = np.flatnonzero(folds == fold)
        for whole, part in zip((scores, predicted), learn(np.flatnonzero(folds != fold))(rows), strict=True):
            for name, values in part.items():
                whole[name][rows] = values
        print(f"fold {fold + 1} of {folds.max() + 1}", file=sys.stderr, flush=True)
    codes = attribute_codes(frames, vocabulary)
    means = mean_metrics(score_attributes(codes, scores, vocabulary))
    figures = [means["balanced_accuracy"], means["roc_auc"]]
    for estimate in (binned_errors, swept_errors):
        errors = [calibration_error(codes[name], predicted[name], estimate) for name in vocabulary]
        figures += [fmean(errors), max(errors)]
    return [f"{figure:.3f}" for figure in figures]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], help="a value to try beside the recipe's: key=value")
    asked = parser.parse_args()
    frames = with_labels(open_frames(asked.frames).where(("train", "val")))
    folds = deal(groups_of(frames), asked.folds)
    recipe = load_config(ROOT / "params.yaml").recipes[asked.recipe].attributes
    tried = {"recipe": {}} | {text: dict([text.split("=", 1)]) for text in asked.set}
    lines = [["logistic regression", *measured(frames, folds, by_regression(frames, recipe))]]
    for name, changes in tried.items():
        values = dict(recipe) | {key: yaml.safe_load(value) for key, value in changes.items()}
        lines.append([name, *measured(frames, folds, by_stage(asked.frames, frames, SimpleNamespace(**values)))])
    print_table(["heads", "balanced accuracy", "ROC AUC", "ECE, mean", "greatest", "sweep, mean", "greatest"], lines)


if __name__ == "__main__":
    main()
