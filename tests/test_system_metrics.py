import os
import random
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest
import torch
from waiting import wait_until

from auxreid.plumbing.stage import system_metrics
from auxreid.plumbing.stage.record import SYSTEM, read_history, read_system_metrics
from auxreid.plumbing.stage.run import stage_run
from auxreid.plumbing.stage.system_metrics import Sampler, SystemMetrics, gpu_command, parse_gpus, resident_bytes


def steps(folder, name):
    return [point.step for point in read_system_metrics(folder) if point.name == f"system/{name}"]


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_samples_at_once_now_and_then_and_at_the_end(tmp_path, monkeypatch, no_gpu):
    monkeypatch.setattr(system_metrics, "PERIOD", 0.05)
    sampled = SystemMetrics(tmp_path).start()
    wait_until(lambda: len(steps(tmp_path, "process_memory_megabytes")) >= 3, seconds=120)
    sampled.stop()
    found = steps(tmp_path, "process_memory_megabytes")
    assert found == list(range(len(found)))
    assert steps(tmp_path, "cpu_utilization_percentage") == found[1:]
    values = [point.value for point in read_system_metrics(tmp_path) if "cpu" in point.name]
    assert all(0 <= value <= 100 for value in values)
    assert not sampled._thread.is_alive()


def test_the_shortest_stage_has_a_first_and_a_last_sample_and_no_thread_stays(tmp_path, no_gpu):
    with stage_run("pose", "sample", dataset="sample", params={}, root=tmp_path) as run:
        run.log({"loss": 1.0}, step=0)
    assert steps(run.out / "record", "process_memory_megabytes") == [0, 1]
    assert "system metrics" not in {thread.name for thread in threading.enumerate()}


def test_the_memory_of_a_child_counts(no_gpu):
    before = resident_bytes(psutil.Process())
    script = "block = bytearray(200_000_000); print('made', flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as child:
        assert child.stdout.readline() == "made\n"
        grown = resident_bytes(psutil.Process()) - before
        child.communicate("\n")
    assert 200_000_000 < grown < 300_000_000


def test_no_random_number_is_drawn(tmp_path, monkeypatch, no_gpu):
    monkeypatch.setattr(system_metrics, "PERIOD", 0.001)

    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = states()
    sampled = SystemMetrics(tmp_path).start()
    wait_until(lambda: len(steps(tmp_path, "process_memory_megabytes")) >= 3, seconds=120)
    sampled.stop()
    assert states() == before


def test_what_fails_is_said_once_and_the_stage_goes_on(tmp_path, monkeypatch, capfd, no_gpu):
    monkeypatch.setattr(system_metrics, "PERIOD", 0.001)
    monkeypatch.setattr(Sampler, "values", lambda self: 1 / 0)
    with stage_run("pose", "sample", dataset="sample", params={}, root=tmp_path) as run:
        run.log({"loss": 1.0}, step=0)
        run._system._thread.join(60)
    assert [point.name for point in read_history(run.out / "record")] == ["loss"]
    assert not (run.out / "record" / SYSTEM).exists()
    assert capfd.readouterr().err.count("system metrics stop: ZeroDivisionError") == 1


def test_a_sample_that_hangs_is_not_waited_for_and_writes_nothing_afterwards(tmp_path, monkeypatch, no_gpu):
    release = threading.Event()
    monkeypatch.setattr(system_metrics, "PATIENCE", 0.1)
    monkeypatch.setattr(Sampler, "values", lambda self: release.wait(60) and {"late": 1.0})
    sampled = SystemMetrics(tmp_path).start()
    sampled.stop()
    release.set()
    sampled._thread.join(60)
    assert not (tmp_path / SYSTEM).exists()


def fake_driver(folder, script, monkeypatch):
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_gpus_are_asked_for_by_the_driver_and_only_those_that_are_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    fake_driver(tmp_path, f'echo "$@" > {tmp_path}/asked; echo "1, 75, 1000"; echo "2, [N/A], 24"', monkeypatch)
    values = Sampler().values()
    assert values["gpu_1_utilization_percentage"] == 75
    assert values["gpu_1_memory_usage_megabytes"] == 1048.576  # 1,000 MiB
    assert values["gpu_2_memory_usage_megabytes"] == pytest.approx(25.165824)
    assert "gpu_2_utilization_percentage" not in values
    asked = (tmp_path / "asked").read_text()
    assert asked.endswith("-i 1,2\n")
    assert "utilization.gpu,memory.used" in asked


def test_a_driver_that_fails_is_not_asked_again(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake_driver(tmp_path, f"echo once >> {tmp_path}/asked; exit 9", monkeypatch)
    sampler = Sampler()
    assert set(sampler.values()) == {"process_memory_megabytes"}
    assert set(sampler.values()) == {"process_memory_megabytes", "cpu_utilization_percentage"}
    assert (tmp_path / "asked").read_text() == "once\n"


@pytest.mark.parametrize("visible", ["", "-1"])
def test_gpus_that_are_hidden_from_the_stage_are_not_asked_for(tmp_path, monkeypatch, visible):
    fake_driver(tmp_path, "echo '0, 1, 2'", monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_command() is None


def test_no_lines_are_no_gpus():
    assert parse_gpus("") == {}
