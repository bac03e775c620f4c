"""Files that appear whole, and every way in which a library says that the disk is full."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from small_disk import small_disk
from small_frames import small_frames

from auxreid.plumbing.base.errors import FullDiskError
from auxreid.plumbing.base.files import finished_file, is_full_disk, write_text
from auxreid.plumbing.stage.checkpoint_folder import CheckpointFolder
from auxreid.plumbing.stage.run import stage_run

MEGABYTE = 2**20


def test_a_file_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with finished_file(path) as unfinished:
        unfinished.write_text("half")
        assert not path.exists() and unfinished.suffix == ".csv"
        unfinished.write_text("whole")
    assert path.read_text() == "whole" and os.listdir(path.parent) == ["table.csv"]


def test_a_failure_leaves_the_former_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "former\r\n")
    with pytest.raises(ZeroDivisionError), finished_file(path) as unfinished:
        unfinished.write_text(f"half {1 / 0}")
    assert path.read_bytes() == b"former\r\n" and os.listdir(tmp_path) == ["table.csv"]


def test_what_a_killed_writer_left_is_overwritten(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "former")
    child = os.fork()
    if not child:
        with finished_file(path) as unfinished:
            unfinished.write_text("half")
            os._exit(0)  # nothing is cleaned up, as by a kill
    os.waitpid(child, 0)
    assert path.read_text() == "former" and len(os.listdir(tmp_path)) == 2
    write_text(path, "whole")
    assert path.read_text() == "whole" and os.listdir(tmp_path) == ["table.csv"]


def write_safetensors(folder: Path) -> Path:
    with finished_file(folder / "a.safetensors") as unfinished:
        save_file({"a": torch.zeros(2 * MEGABYTE)}, unfinished)


def write_parquet(folder: Path) -> None:
    with finished_file(folder / "a.parquet") as unfinished:
        pq.write_table(pa.table({"a": np.random.default_rng(0).random(MEGABYTE)}), unfinished)


def write_frames_file(folder: Path) -> None:
    small_frames(folder / "a.arrow", range(40), size=(256, 256))


def write_long_text(folder: Path) -> None:
    write_text(folder / "a.json", "0" * 3 * MEGABYTE)


def write_state(folder: Path) -> None:
    CheckpointFolder(folder).save(1, {"a": torch.zeros(2 * MEGABYTE)})


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_safetensors, "a.safetensors"),
        (write_parquet, "a.parquet"),
        (write_frames_file, "a.arrow"),
        (write_long_text, "a.json"),
        (write_state, "epoch-000001"),
    ],
)
def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path, write, name):
    with small_disk(tmp_path / "disk", 2 * MEGABYTE) as disk:
        former = disk.path / name
        former.write_text("former")
        with pytest.raises(FullDiskError, match=rf"disk/{name}.*: cannot be written, .* full; make room"):
            write(disk.path)
        assert former.read_text() == "former" and os.listdir(disk.path) == [name]
        disk.resize(64 * MEGABYTE)
        write(disk.path)
        assert any(path.stat().st_size > MEGABYTE for path in disk.path.iterdir())


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path / "folder", "text")
    assert not is_full_disk(ValueError("os error 281")) and not is_full_disk(PermissionError(13, "denied"))


def test_a_picture_or_a_point_without_room_names_where_it_belongs_and_the_stage_fails_by_that(tmp_path):
    from PIL import Image

    with small_disk(tmp_path / "results", 256 * 1024) as disk:
        picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8))
        with (
            pytest.raises(FullDiskError, match="results/compare/people: cannot be written"),
            stage_run("compare", "people", dataset="people", params={}, root=disk.path) as run,
        ):
            picture.save(run.figure("rows.png"))
        (disk.path / "ballast").write_bytes(b"0")
        with (
            pytest.raises(FullDiskError, match=r"history\.jsonl: cannot be written"),
            stage_run("pose", "people", dataset="people", params={}, root=disk.path) as run,
        ):
            fill(disk.path / "ballast")
            for step in range(10_000):
                run.log({"loss": 1.0}, step=step)


def fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"0" * 4096)
        except OSError:
            return
