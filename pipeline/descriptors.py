"""DVC stage `descriptors`: fit what a row with `rank` ranks another row's encoder by, on the training images.

usage: python pipeline/descriptors.py DATASET-ROW-SEED
"""

import checkout  # noqa: F401

from auxreid.clip.checkpoints import load_ranked_encoder
from auxreid.clipreid.training_set import training_set
from auxreid.descriptors.file import write_descriptors
from auxreid.descriptors.fit import Descriptors, fit_descriptors
from auxreid.descriptors.predicted import PART
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script

FILE = "descriptors.safetensors"


def main(stage: Stage) -> None:
    reads, settings, seed = stage.reads, stage.settings, stage.entry["seed"]
    with stage.run(encoder=str(reads["encoder"])) as run:
        encoder, beside = load_ranked_encoder(reads["encoder"])
        frames, classes, _ = training_set(reads["frames"], stage.entry["split"], None)
        asked = settings.ablation.rank, encoder, beside, frames, classes, reads["pose"], settings.precision, seed
        descriptors = fit_descriptors(*asked, attributes=reads["attributes"])
        write_descriptors(run.out / FILE, descriptors)
        run.artifact(FILE)
        run.summary({f"shrinkage/{part}": value for part, value in descriptors.header.facts["shrinkage"].items()})
        run.summary({f"evidence/{name}": weight for name, weight in evidence_weights(descriptors).items()})


def evidence_weights(descriptors: Descriptors) -> dict[str, float]:
    """By attribute; nothing without evidence."""
    return descriptors.header.facts.get(PART, {}).get("weights", {})


if __name__ == "__main__":
    run_script(main)
