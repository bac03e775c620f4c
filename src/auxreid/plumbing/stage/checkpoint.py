"""The checkpoint of a training stage: its parts' states and the curves that belong to them, found by fingerprint.

They lie in .checkpoints/<stage>-<key>-<fingerprint>/ beside results/. When a stage has finished under DVC they stay
until DVC has written its result into dvc.lock: a kill between the two costs no second training, while `dvc repro -f`
does train again. Whichever training stage starts next removes what is no longer needed, if no other DVC command has
the lock of the repository at that moment (see old_checkpoints.py).
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path

from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.dvc.lockfile import folder_md5
from auxreid.plumbing.stage.checkpoint_folder import CheckpointFolder
from auxreid.plumbing.stage.curves import Curves
from auxreid.plumbing.stage.dvc_watch import STAGE_VARIABLE
from auxreid.plumbing.stage.fingerprint import fingerprint
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.old_checkpoints import FINISHED, FOLDER, remove_old
from auxreid.plumbing.stage.record import Point
from auxreid.plumbing.stage.run import Run
from auxreid.training.state import State


class StageCheckpoint:
    """The `checkpoint` of a training loop (see training_state.py). Made by `stage_checkpoint`."""

    def __init__(self, files: CheckpointFolder, run: Run, curves: Curves | None) -> None:
        self.files, self.run, self.curves = files, run, curves
        self.last: tuple[Path, int] | None = None  # the last good file, and the epochs that were done

    def load(self) -> tuple[int, State] | None:
        """The last state, if there is one; the run and its curves then go on from there too."""
        found = self.files.load()
        if found is None:
            return None
        path, epochs, content = found
        self.last = path, epochs
        self.run.resume([Point(*point) for point in content["history"]], epochs)
        if self.curves is not None:
            self.curves.rows = content["curves"]
        print(f"  {epochs} epochs are done, from {path}", flush=True)
        return epochs, content["state"]

    def save(self, epochs: int, state: State) -> None:
        """Keep the state and the curves up to here."""
        content = {
            "state": state,
            "history": [astuple(point) for point in self.run.curves()],
            "curves": None if self.curves is None else self.curves.rows,
        }
        self.last = self.files.save(epochs, content), epochs

    def whereabouts(self) -> str:
        """The last good state, in words."""
        if self.last is None:
            return "no epoch was saved before"
        return f"the last good checkpoint is {self.last[0]}, after {self.last[1]} epochs"

    def finish(self) -> None:
        """After the record is finished: keep the last state while DVC has yet to commit the result."""
        if STAGE_VARIABLE not in os.environ or self.last is None:
            shutil.rmtree(self.files.folder, ignore_errors=True)
            return
        self.files.keep(1)
        about = {"stage": self.run.record.stage, "key": self.run.record.key}
        write_text(self.files.folder / FINISHED, json.dumps(about | {"record": folder_md5(self.run.out / "record")}))


@contextmanager
def stage_checkpoint(run: Run, stage: Stage, curves: Curves | None = None) -> Iterator[StageCheckpoint]:
    """The checkpoint of a stage's training, which the block contains.

    Args:
        stage: whose code, inputs and settings the training follows from.
        curves: where the training reports to, if that is not `run` itself.

    Raises:
        DataError: an input is not there.
        FloatingPointError: the training's own, with the last good checkpoint named.
    """
    root = run.out.parents[2]  # results/<stage>/<key> lies in it
    remove_old(root)
    record = run.record
    settings = {"stage": record.stage, "key": record.key, "params": record.params, "versions": record.versions}
    name = f"{record.stage}-{record.key}-{fingerprint(stage.code, stage.inputs, settings)[:16]}"
    checkpoint = StageCheckpoint(CheckpointFolder(root / FOLDER / name), run, curves)
    with suppress(OSError):  # from now on it is in use, and no other stage may take it for done with
        (checkpoint.files.folder / FINISHED).unlink(missing_ok=True)
    try:
        yield checkpoint
    except FloatingPointError as error:
        raise FloatingPointError(f"{error}; {checkpoint.whereabouts()}") from error
    run.at_end(checkpoint.finish)
