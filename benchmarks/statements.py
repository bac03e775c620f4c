"""Whether what README says of the demo holds on other machines: the demo again, as other CPUs would run it.

    python benchmarks/statements.py [--settings 4]

A setting limits the instruction sets of torch and oneDNN or changes the number of threads, and with it the order of
sums, from the first epoch of pre-training on. Each is a demo from nothing in a fresh clone of the committed state, some
ten minutes. Prints each statement under each setting, then the table with its spread over the settings, and fails if a
statement does not hold somewhere.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from core_seconds import run
from result import print_table
from sizes import read_sizes

from auxreid.data.vocabulary import DOG_ATTRIBUTES

ROOT = Path(__file__).resolve().parents[1]
SETTINGS: dict[str, dict[str, str]] = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "AVX2, 1 thread": {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "SSE4.1, 1 thread": {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
}
TABLE = "results/compare/sample_people/table.csv"
DOGS, POSE = "results/attributes/sample_dogs/metrics.json", "results/pose/sample_people/metrics.json"
REFERENCE, COLLAPSE = "clip_reid", "attribute_smoothing_both"
LOCAL, CONTROL = "local_joints", "local_mean_joints"  # both rank the reference's encoder
DIFFERENCE = f"mAP_minus_{REFERENCE}"
SHOWN = ("mAP", "CMC_1", DIFFERENCE)


@dataclass(frozen=True)
class Outcome:
    """What a demo leaves: the people's table by row, and what was measured of the dogs and of the joints."""

    people: pd.DataFrame
    attributes: Mapping[str, float]  # "<attribute>_roc_auc" and "<attribute>_balanced_accuracy", and means, of 1
    pck: float  # at 0.1, of people held out

    @property
    def tuned(self) -> pd.DataFrame:
        """The rows that were fine-tuned: baselines have no form, and two rows rank another one's encoder."""
        return self.people[self.people["form"].notna()].drop([LOCAL, CONTROL], errors="ignore")


def _ladder(found: Outcome) -> bool:
    mean = found.people["mAP"]
    return mean["untrained"] < mean["pretrained"] < found.tuned["mAP"].min()


def _collapse(found: Outcome) -> bool:
    return found.tuned["mAP"].idxmin() == COLLAPSE and found.people.loc[COLLAPSE, f"{DIFFERENCE}_high"] < 0


def _reranking(found: Outcome) -> bool:
    return bool((found.tuned["reranked_mAP"] < found.tuned["mAP"]).all())


def _local(found: Outcome) -> bool:
    return bool((found.people.loc[[LOCAL, CONTROL], f"{DIFFERENCE}_low"] > 0).all())


def _not_the_pose(found: Outcome) -> bool:
    gain = found.people[DIFFERENCE]
    return bool(2 * gain[CONTROL] >= gain[LOCAL])


def _roc_auc(found: Outcome) -> float:
    return found.attributes["mean_roc_auc"]


def _twice_chance(found: Outcome) -> bool:
    chance = sum(1 / len(words) for words in DOG_ATTRIBUTES.values()) / len(DOG_ATTRIBUTES)
    return found.attributes["mean_balanced_accuracy"] >= 2 * chance


# README's sentences on the demo, word for word.
STATEMENTS: dict[str, Callable[[Outcome], bool]] = {
    "pre-training ranks better than random weights, and every fine-tuned row better than pre-training": _ladder,
    f"`{COLLAPSE}` is the last of the fine-tuned rows, and the interval of its difference to `{REFERENCE}` lies "
    "below 0": _collapse,
    "re-ranking helps no fine-tuned row: it needs several true matches per query, and here each has one": _reranking,
    f"`{LOCAL}` and its control `{CONTROL}` rank better than `{REFERENCE}`, whose encoder they take as it is: the "
    "intervals of both differences lie above 0": _local,
    f"of what `{LOCAL}` gains, its control has at least half: on rendered people it is local, whitened descriptors "
    "that help, and the pose at most adds to them": _not_the_pose,
    "dogs never seen: the attributes' mean ROC AUC is at least .85": lambda found: _roc_auc(found) >= 0.85,
    "dogs never seen: the attributes' mean balanced accuracy is at least twice chance": _twice_chance,
    "people never seen: PCK@0.1 of the keypoints is at least .65": lambda found: found.pck >= 0.65,
}


def demo(environment: Mapping[str, str]) -> Outcome:
    """A demo from nothing in a clone of its own.

    Raises:
        RuntimeError: it failed; holds the end of what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="auxreid-statements-") as folder:
        root = Path(folder, "clone")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(root)], check=True)
        done = run(root, "demo", **environment)
        if done.returncode:
            raise RuntimeError(f"the demo ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return read_outcome(root)


def read_outcome(root: Path) -> Outcome:
    """Of the results below a checkout."""
    attributes, pose = (json.loads((root / path).read_text()) for path in (DOGS, POSE))
    return Outcome(pd.read_csv(root / TABLE, index_col="row"), attributes, pose["PCK"])


def spread(found: Mapping[str, Outcome]) -> list[list[str]]:
    """A line per row: each figure's median over the settings, and its least and greatest."""
    stacked = pd.concat([one.people[list(SHOWN)] for one in found.values()])
    lines = []
    for row in next(iter(found.values())).people.index:
        cells = []
        for name in SHOWN:
            values = stacked.loc[[row], name]
            text = f"{values.median():.1f} ({values.min():.1f} to {values.max():.1f})"
            cells.append(text if values.notna().all() else "-")
        lines.append([row, *cells])
    return lines


def other_figures(found: Outcome) -> str:
    accuracy = found.attributes["mean_balanced_accuracy"]
    return f"{_roc_auc(found):.3f} / {accuracy:.3f} / {found.pck:.3f}"


def main() -> None:
    """Print which statement holds where, and the tables' spread."""
    asked = read_sizes(__doc__, settings=len(SETTINGS))["settings"]
    found: dict[str, Outcome] = {}
    for name, environment in list(SETTINGS.items())[:asked]:
        print(f"demo under {name!r}", file=sys.stderr, flush=True)
        found[name] = demo(environment)
    held = {text: {name: check(one) for name, one in found.items()} for text, check in STATEMENTS.items()}
    lines = [[text, *("yes" if where[name] else "no" for name in found)] for text, where in held.items()]
    lines.append(["dogs: ROC AUC / balanced accuracy; people: PCK", *map(other_figures, found.values())])
    print_table(["statement", *found], lines)
    print_table(["row", *(f"{name}: median (least to greatest)" for name in SHOWN)], spread(found))
    wrong = [f"{text}: not under {name}" for text, where in held.items() for name, holds in where.items() if not holds]
    if wrong:
        raise SystemExit("\n".join(["does not hold:", *wrong]))


if __name__ == "__main__":
    main()
