"""Weights that users bring: of another structure, in wrappings, and OpenAI's own files beside open_clip's loading."""

import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import open_clip
import pytest
import timm
import torch
from open_clip.openai import load_openai_model
from safetensors.torch import save_file
from torch import Tensor, nn

from auxreid.clip.activation import OPENAI_SIZES, settled
from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import load_text_tower, save_tower
from auxreid.clip.torchscript import is_archive, read_archive
from auxreid.clip.weights import read_weights
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.settings.recipes import InputConfig, OpenClipEncoder, TextConfig, TimmEncoderConfig

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
VISION = {
    "ViT-tiny-of-weights": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
    "RN-tiny-of-weights": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
}
SIZES = {"ViT-tiny-of-weights": (32, 32), "RN-tiny-of-weights": (64, 64)}
NET, SMALL = "mobilenetv3_small_050", (64, 32)


@pytest.fixture(scope="module", autouse=True)
def registered(tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("models")
    for name, vision in VISION.items():
        for suffix, more in {"": {}, "-quickgelu": {"quick_gelu": True}}.items():
            config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": TEXT} | more
            (folder / f"{name}{suffix}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture
def clip_state() -> dict[str, Tensor]:
    """Random weights of the tiny vision transformer, in half precision as OpenAI's."""
    torch.manual_seed(0)
    return half("ViT-tiny-of-weights")


def half(name: str) -> dict[str, Tensor]:
    model = open_clip.create_model(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))  # or activations were hardly used
    return {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}


class Holder(nn.Module):
    """A part of a CLIP, as a module of an archive."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def archive(path: Path, state: Mapping[str, Tensor], resolution: int) -> Path:
    """A TorchScript archive with these tensors in modules of their own, and the sizes that OpenAI's archives hold."""
    root = Holder()
    for name, value in zip(OPENAI_SIZES, (resolution, 77, 49408), strict=True):
        root.register_buffer(name, torch.tensor(value))
    for name, tensor in state.items():
        *parents, last = name.split(".")
        module = root
        for parent in parents:
            if parent not in module._modules:
                module.add_module(parent, Holder())
            module = module._modules[parent]
        module.register_buffer(last, tensor)
    torch.jit.save(torch.jit.script(root), str(path))
    return path


def section(name: str, path: Path, **more) -> OpenClipEncoder:
    return OpenClipEncoder(kind="open_clip", name=name, pretrained=str(path), **more)


def text_of(encoder) -> Tensor:
    return build_towers(encoder, SIZES[encoder.name.removesuffix("-quickgelu")])[1](sentences())


def sentences() -> Tensor:
    return open_clip.tokenize(["a photo of a dog", "a photo of a man wearing a red top"])


# OpenAI's files


@pytest.mark.parametrize("name", VISION)
def test_an_archive_gives_the_features_of_open_clips_own_loading(name, tmp_path):
    torch.manual_seed(1)
    path = archive(tmp_path / "openai.pt", half(name), VISION[name]["image_size"])
    theirs = load_openai_model(str(path), precision="fp32", device="cpu").eval()
    image, text = build_towers(settled(section(name, path)), SIZES[name])
    with torch.no_grad():
        expected = theirs.encode_text(sentences())
        torch.testing.assert_close(text(sentences()), expected, atol=1e-5, rtol=1e-5)
        pixels = torch.randn(2, 3, *SIZES[name], generator=torch.Generator().manual_seed(0))
        if name.startswith("ViT"):  # the other's last stride is changed
            torch.testing.assert_close(image.eval()(pixels)[2], theirs.encode_image(pixels), atol=1e-5, rtol=1e-5)
        gelu = open_clip.create_model(name)
        gelu.load_state_dict({key: value.float() for key, value in half_again(path).items()})
        assert (gelu.eval().encode_text(sentences()) - expected).abs().max() > 1e-3  # what was built before


def half_again(path: Path) -> dict[str, Tensor]:
    return {key: value for key, value in read_archive(path).items() if key not in OPENAI_SIZES}


def test_an_archive_is_read_without_its_program_as_torch_reads_it_with_it(clip_state, tmp_path):
    path = archive(tmp_path / "a.pt", clip_state, 32)
    torch.save(clip_state, tmp_path / "b.pt")
    assert is_archive(path) and not is_archive(tmp_path / "b.pt")
    ours, theirs = read_archive(path), torch.jit.load(str(path)).state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor) and ours[name].dtype == tensor.dtype


def test_a_program_in_an_archive_is_not_run(clip_state, tmp_path):
    """A call in its pickle is refused by name."""

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was_here"),)

    path = archive(tmp_path / "a.pt", clip_state, 32)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "evil.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, pickle.dumps(Evil(), 2) if name.endswith("/data.pkl") else old.read(name))
    with pytest.raises(ConfigError, match=r"encoder.pretrained = .*evil.pt': not a readable .*mkdir is no part of wei"):
        read_weights(str(tmp_path / "evil.pt"), "encoder.pretrained")
    assert not (tmp_path / "was_here").exists()


def test_a_state_dict_with_openais_sizes_is_openais(clip_state, tmp_path):
    sizes = dict.fromkeys(OPENAI_SIZES, torch.tensor(32))
    torch.save(clip_state | sizes, tmp_path / "openai.pt")
    encoder = section("ViT-tiny-of-weights", tmp_path / "openai.pt")
    assert settled(encoder).quick_gelu is True
    by_archive = section("ViT-tiny-of-weights", archive(tmp_path / "a.pt", clip_state, 32))
    assert torch.equal(text_of(encoder), text_of(by_archive))


def test_a_file_that_does_not_tell_is_asked_for(clip_state, tmp_path):
    torch.save(clip_state, tmp_path / "clip.pt")
    encoder = section("ViT-tiny-of-weights", tmp_path / "clip.pt")
    with pytest.raises(ConfigError, match=r"does not tell its model's activation. Add encoder.quick_gelu: true for Op"):
        settled(encoder)
    with pytest.raises(ConfigError, match="does not tell"):  # nor is it built
        build_towers(encoder, (32, 32))
    quick, plain = (encoder.model_copy(update={"quick_gelu": value}) for value in (True, False))
    named = section("ViT-tiny-of-weights-quickgelu", tmp_path / "clip.pt")
    assert settled(named).quick_gelu is True
    assert torch.equal(text_of(quick), text_of(named)) and not torch.equal(text_of(quick), text_of(plain))


def test_a_section_that_contradicts_its_weights(clip_state, tmp_path):
    path = archive(tmp_path / "a.pt", clip_state, 32)
    with pytest.raises(
        ConfigError, match=r"encoder.quick_gelu = False: .*trained with QuickGELU; leave quick_gelu out"
    ):
        settled(section("ViT-tiny-of-weights", path, quick_gelu=False))
    with pytest.raises(ConfigError, match="was trained with GELU; leave quick_gelu out"):
        settled(OpenClipEncoder(kind="open_clip", name="ViT-B-16", pretrained="laion2b_s34b_b88k", quick_gelu=True))


@pytest.mark.parametrize(
    ("name", "tag", "quick"),
    [("RN50", "openai", True), ("RN50", "yfcc15m", True), ("ViT-B-16", "laion400m_e32", False)],
)
def test_a_tag_tells_by_open_clips_own_list(name, tag, quick):
    assert settled(OpenClipEncoder(kind="open_clip", name=name, pretrained=tag)).quick_gelu is quick


def test_a_towers_file_needs_the_weights_no_more(clip_state, tmp_path):
    path = archive(tmp_path / "a.pt", clip_state, 32)
    encoder = settled(section("ViT-tiny-of-weights", path))
    _, text = build_towers(encoder, (32, 32))
    save_tower(
        text, tmp_path / "text.safetensors", encoder, InputConfig(height=32, width=32, mean=(0,) * 3, std=(1,) * 3)
    )
    path.unlink()
    assert torch.equal(load_text_tower(tmp_path / "text.safetensors")(sentences()), text.eval()(sentences()))


# structures


def timm_section(path: Path | None, name: str = NET) -> TimmEncoderConfig:
    text = TextConfig(width=32, heads=2, layers=1)
    checkpoint = None if path is None else str(path)
    return TimmEncoderConfig(kind="timm", name=name, checkpoint=checkpoint, output_stride=32, embed_dim=8, text=text)


def features(path: Path) -> Tensor:
    image, _ = build_towers(timm_section(path), SMALL)
    return image.eval()(torch.ones(1, 3, *SMALL))[1]


def test_what_training_programs_wrap_around_weights_is_taken_off(tmp_path):
    state = timm.create_model(NET).state_dict()
    save_file(state, tmp_path / "plain.safetensors")
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}, tmp_path / "ddp.pth"
    )
    torch.save({"model": {f"_orig_mod.module.{name}": value for name, value in state.items()}}, tmp_path / "both.pth")
    expected = features(tmp_path / "plain.safetensors")
    assert torch.equal(features(tmp_path / "ddp.pth"), expected)
    assert torch.equal(features(tmp_path / "both.pth"), expected)


def test_another_number_of_classes_and_no_classifier_fit(tmp_path):
    state = timm.create_model(NET, num_classes=5).state_dict()
    save_file(state, tmp_path / "five.safetensors")
    save_file({name: value for name, value in state.items() if "classifier" not in name}, tmp_path / "none.safetensors")
    assert torch.equal(features(tmp_path / "five.safetensors"), features(tmp_path / "none.safetensors"))


def test_a_file_of_another_model_says_in_three_lines_what_differs(tmp_path):
    state = timm.create_model(NET).state_dict()
    state["conv_stem.weight"] = torch.zeros(16, 3, 5, 5)
    del state["bn1.weight"], state["bn1.bias"], state["bn1.num_batches_tracked"]
    state |= {f"extra.{number}": torch.zeros(1) for number in range(6)}
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(ConfigError) as caught:
        features(tmp_path / "x.safetensors")
    head, *lines = str(caught.value).splitlines()
    assert head == f"encoder.checkpoint = '{tmp_path}/x.safetensors' for {NET}: the weights are of another structure."
    assert lines == [
        "  2 missing: bn1.weight, bn1.bias",
        "  6 unexpected: extra.0, extra.1, extra.2, extra.3, ...",
        "  1 of another shape: conv_stem.weight [16, 3, 5, 5] for [16, 3, 3, 3]",
    ]


def test_a_model_that_clip_reid_saved_is_told_by_its_names(clip_state, tmp_path):
    tuned = {
        name.replace("visual.", "image_encoder.", 1): value for name, value in clip_state.items() if "visual" in name
    }
    torch.save({f"module.{name}": value for name, value in tuned.items()}, tmp_path / "tuned.pth")
    with pytest.raises(ConfigError) as caught:
        text_of(section("ViT-tiny-of-weights", tmp_path / "tuned.pth", quick_gelu=True))
    head, missing, unexpected = str(caught.value).splitlines()
    assert "structure. It looks like a model tuned by CLIP-ReID's own code" in head
    assert missing.startswith(f"  {len(clip_state)} missing: ")
    assert unexpected.startswith(f"  {len(tuned)} unexpected: image_encoder.")


@pytest.mark.parametrize(
    ("encoder", "size", "message"),
    [
        (timm_section(None, "vit_tiny_patch16_224"), SMALL, r"vit_tiny_patch16_224 cannot be an encoder of .* 64 x 32"),
        (
            OpenClipEncoder(kind="open_clip", name="ViT-tiny-of-weights", pretrained="clip.pt", quick_gelu=True),
            (8, 8),
            r"ViT-tiny-of-weights cannot be an encoder of images of 8 x 8 \(input.height x input.width\)",
        ),
    ],
)
def test_a_size_that_a_model_cannot_take_is_told_before_training(
    encoder, size, message, clip_state, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    torch.save(clip_state, "clip.pt")
    with pytest.raises(ConfigError, match=message):
        build_towers(encoder, size)


def test_a_file_of_something_else(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "numbers.pt")
    with pytest.raises(ConfigError, match=r"list.pt': not a readable .*holds one list"):
        read_weights(str(tmp_path / "list.pt"), "encoder.checkpoint")
    with pytest.raises(ConfigError, match=r"numbers.pt': holds no tensors by name, but epoch, lr"):
        read_weights(str(tmp_path / "numbers.pt"), "encoder.checkpoint")
