"""The benchmarks' table and exit code, their results at small sizes, and the parts of stage 2's profile. No times."""

import math

import gpu
import large_gallery
import numpy as np
import pytest
import ranking
import reranking
import run
import stage2
import stage2_profile
import torch
from params import finetune_settings
from result import Asked, Row, faults, finish
from small_frames import small_frames
from tiny_encoder import TinyEncoder

from auxreid.clip.images import PlainImages, normalise
from auxreid.plumbing.settings.recipes import InputConfig

SETTINGS = finetune_settings(
    epochs=3,
    identities=2,
    instances=2,
    lr=1e-3,
    weight_decay=0.0,
    milestones=[2],
    warmup_epochs=1,
    warmup_factor=0.1,
    w_id=1.0,
)


def row(*asked: Asked) -> Row:
    return Row("sorting, 9 x 9", "by hand", "6.00 s", "0.50 s", "12.0 x", asked)


def test_a_bound_is_reached_up_to_itself_and_never_by_what_is_no_number():
    assert Asked("ratio", 10.0, least=10).reached
    assert not Asked("ratio", 9.9, least=10).reached
    assert Asked("peak GB", 2.5, most=2.5).reached
    assert not Asked("peak GB", 2.6, most=2.5).reached
    assert not Asked("difference", math.nan, most=1e-4).reached


def test_the_table_says_what_is_asked_and_whether_it_is_reached(capsys):
    asked = Asked("ratio", 12.0, least=10), Asked("peak GB", 1.0, most=2.5)
    finish([row(*asked), row()])
    first, second = (line for line in capsys.readouterr().out.splitlines() if "sorting" in line)
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells == ["sorting, 9 x 9", "by hand", "6.00 s", "0.50 s", "12.0 x", "ratio ≥ 10; peak GB ≤ 2.5", "yes", ""]
    assert [cell.strip() for cell in second.strip("|").split("|")][5:7] == ["-", "-"]


def test_what_is_not_reached_is_named_and_the_exit_code_is_not_zero(capsys):
    missed = row(Asked("ratio", 12.0, least=10), Asked("peak GB", 3.0, most=2.5))
    with pytest.raises(SystemExit, match=r"sorting, 9 x 9: asked is peak GB ≤ 2\.5, found 3") as stopped:
        finish([row(), missed])
    assert "ratio" not in stopped.value.code  # a text as code: exit status 1
    assert " no " in capsys.readouterr().out


def test_a_benchmark_that_dies_is_named_beside_the_others_rows(monkeypatch, capsys):
    def in_fresh_process(name: str) -> list[Row]:
        if name == "ranking":
            raise MemoryError("too large")
        return [row()]

    monkeypatch.setattr(run, "in_fresh_process", in_fresh_process)
    with pytest.raises(SystemExit, match="ranking: MemoryError: too large"):
        run.main()
    assert capsys.readouterr().out.count("sorting") == len(run.BENCHMARKS) - 1


@pytest.mark.parametrize("benchmark", [ranking, reranking, large_gallery])
def test_results_are_equal_and_memory_is_kept_at_small_sizes(benchmark):
    size = {"queries": 60, "gallery": 500} | ({} if benchmark is ranking else {"dim": 24})
    asked = [one for found in benchmark.rows(**size) for one in found.asked if one.name != "ratio"]
    assert asked
    assert all(one.reached for one in asked)


def tiny_profile(tmp_path) -> stage2_profile.Profile:
    frames = small_frames(tmp_path / "frames.arrow", np.repeat([1, 2, 3], 4))
    texts = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    return stage2_profile.profile_stage2(TinyEncoder((2, 4, 3), (32, 16)), frames, frames.identity - 1, texts, SETTINGS)


def test_the_parts_of_a_step_add_up_to_the_whole(tmp_path):
    profile = tiny_profile(tmp_path)
    assert tuple(profile.parts) == stage2_profile.PARTS
    assert all(seconds > 0 for seconds in profile.parts.values())  # a part counted twice would leave less than no rest
    assert profile.share(*stage2_profile.PARTS) == pytest.approx(100)
    assert profile.milliseconds(*stage2_profile.PARTS) == pytest.approx(profile.milliseconds())


def test_the_profile_leaves_stage_2_as_it_was_and_counts_the_steps_after_the_first_epoch(tmp_path):
    before = dict(vars(stage2_profile.stage2))
    profile = tiny_profile(tmp_path)
    assert vars(stage2_profile.stage2) == before
    assert profile.steps in (4, 5, 6)  # 2 epochs; 6 chunks of 3 identities make 2 or 3 batches


def test_the_reference_step_trains_on_images_of_equal_shape_and_scale(tmp_path):
    size = InputConfig(height=32, width=16, mean=(0.5,) * 3, std=(0.5,) * 3)
    frames = stage2.synthetic_frames(tmp_path / "frames.arrow", 2, 3)
    image = stage2.PilImages(frames, 32, 16, size.mean, size.std)[(0, None)]
    assert len(frames) == 6
    assert image.shape == (3, 32, 16)
    assert image.min() >= -1
    assert image.max() <= 1
    with stage2.as_reference(size):
        encode = stage2_profile.stage2.row_encoder(TinyEncoder((2, 4, 3), (32, 16)), frames)
        features = encode(stage2_profile.stage2.normalise(image[None], size), np.array([0]))
    assert [feature.shape for feature in features] == [(1, 2), (1, 4), (1, 3)]


def test_faults_are_none_where_nothing_is_asked():
    assert faults([row()]) == []


def test_a_stage_is_measured_against_the_plain_loop_and_the_bare_network(tmp_path):
    bench = gpu.prepare(tmp_path, 16, 4, 2)
    for name in ("stage 1", "stage 2", "encoding"):
        found = gpu.stage_row(name, bench)
        plain, ours = (float(figure.removesuffix(" images/s").replace(",", "")) for figure in found.cells()[2:4])
        assert float(found.ratio.removesuffix(" x")) == pytest.approx(ours / plain, rel=0.05)
        assert ("bare image network" in found.remark) == (name != "stage 1")


def test_the_plain_loop_sees_the_images_that_ours_sees(tmp_path):
    bench = gpu.prepare(tmp_path, 2, 2, 2)
    plain, identity = gpu.Files(bench, augmented=False)[3]
    size = bench.recipe.input
    ours = normalise(PlainImages(bench.frames, size.height, size.width)[3][None], size)[0]
    assert identity == 1
    assert (plain - ours).abs().mean() < 0.05  # PIL's bicubic filter is not OpenCV's
