"""DVC stage `protocol`: how the rows of a data set are evaluated.

usage: python pipeline/protocol.py DATASET
"""

import json

import checkout  # noqa: F401

from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script


def main(stage: Stage) -> None:
    evaluate = stage.settings.evaluate.model_dump(mode="json")
    content = {"protocol": stage.settings.protocol, "precision": stage.settings.precision} | evaluate
    write_text(f"results/protocol/{stage.key}.json", json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run_script(main)
