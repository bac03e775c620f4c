"""HRNet weights on disk: our own safetensors files, and checkpoints in mmpose's format, local or published."""

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.tensor_file import read_about, read_tensors, write_tensors
from auxreid.pose.architecture import PoseSpec, build, import_mmpose

if TYPE_CHECKING:
    from torch import Tensor, nn

METADATA_KEY = "pose"
WHAT = "pose checkpoint"
MMPOSE_PADDING = 1.25  # the view that mmpose trains on, relative to the box
INPUT_SIZE = re.compile(r"input_size=\(\s*(?P<width>\d+),\s*(?P<height>\d+)")  # in mmpose's configuration
HUB = "https://download.openmmlab.com/mmpose"


class Body(NamedTuple):
    """Joint names in the order of the heat maps, and the pairs of joint numbers to draw."""

    joints: Sequence[str]
    skeleton: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Published:
    """A checkpoint on mmpose's server; `body` names mmpose's description of the data set it was trained on."""

    architecture: str
    body: str
    url: str


PUBLISHED = {
    "coco_w48": Published(
        "w48",
        "coco",
        f"{HUB}/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w48_8xb32-210e_coco-256x192-0e67c616_20220913.pth",
    ),
    "coco_w32": Published(
        "w32",
        "coco",
        f"{HUB}/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909.pth",
    ),
    "ap10k_w32": Published("w32", "ap10k", f"{HUB}/animal/hrnet/hrnet_w32_ap10k_256x256-18aac840_20211029.pth"),
    "ap10k_w48": Published("w48", "ap10k", f"{HUB}/animal/hrnet/hrnet_w48_ap10k_256x256-d95ab412_20211029.pth"),
}


class CheckpointSettings(Protocol):
    """The keys of recipes.<name>.pose in params.yaml that choose a checkpoint."""

    checkpoint: str
    joints: str | None
    architecture: str
    height: int
    width: int


def save_checkpoint(net: "nn.Module", spec: PoseSpec, path: Path) -> None:
    """Write the weights as safetensors, with `spec` as JSON in the header; the file appears by rename."""
    write_tensors(path, net.state_dict(), json.dumps(asdict(spec)), METADATA_KEY)


def load_checkpoint(path: Path) -> tuple["nn.Module", PoseSpec]:
    """Read what `save_checkpoint` wrote: the network in eval mode, and its spec.

    Raises:
        DataError: the file is missing, broken, or no pose checkpoint of this package.
    """
    about, tensors = read_tensors(path, WHAT, METADATA_KEY)
    spec = _spec(about)
    return _with_weights(spec, tensors), spec


def read_spec(path: Path) -> PoseSpec:
    """The spec alone, of the file's header; raises as :func:`load_checkpoint`."""
    return _spec(read_about(path, WHAT, METADATA_KEY)[0])


def _spec(about: str) -> PoseSpec:
    fields = json.loads(about)
    return PoseSpec(**fields | {"joints": tuple(fields["joints"]), "skeleton": pairs(fields["skeleton"])})


def pairs(skeleton: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    """A skeleton as JSON or mmpose gives it, in the form of `PoseSpec`."""
    return tuple((int(start), int(end)) for start, end in skeleton)


def import_checkpoint(settings: CheckpointSettings, body: Body) -> tuple["nn.Module", PoseSpec]:
    """The network that `settings.checkpoint` names: a published one or a local file, ours (.safetensors) or mmpose's.

    Args:
        body: the data set's; it names the outputs of a local file that does not name them itself, unless
            `settings.joints` says whose they are.
    Raises:
        ConfigError: `settings` name another architecture, input size or joints than the checkpoint has.
        DataError: the file cannot be read, downloaded, or used, or holds more than weights.
    """
    name = settings.checkpoint
    if name in PUBLISHED:
        return _import_published(settings, PUBLISHED[name])
    path = Path(name)
    if not path.is_file():
        raise DataError(f"pose.checkpoint = {name!r}: no such file; allowed are fit, {', '.join(PUBLISHED)}, or a file")
    if path.suffix == ".safetensors":
        net, spec = load_checkpoint(path)
        _check_same(settings, {key: getattr(spec, key) for key in ("architecture", "height", "width")})
        _check_joints(settings, spec.joints)
        return net, spec
    content = _read_mmpose(path)
    _check_same(settings, _trained_size(content))
    return _import_mmpose(content, settings, _body_of(content, settings, body))


def _import_published(settings: CheckpointSettings, published: Published) -> tuple["nn.Module", PoseSpec]:
    _check_same(settings, {"architecture": published.architecture})
    body = published_body(published.body)
    _check_joints(settings, body.joints)
    return _import_mmpose(_download(published.url), settings, body)


def _check_same(settings: CheckpointSettings, has: Mapping[str, Any]) -> None:
    for key, value in has.items():
        if getattr(settings, key) != value:
            found = getattr(settings, key)
            raise ConfigError(f"pose.{key} = {found!r}: checkpoint {settings.checkpoint!r} has {value!r}")


def _check_joints(settings: CheckpointSettings, named: Sequence[str]) -> None:
    """Of a checkpoint that names its joints: they are those that the settings say, if these say any."""
    if settings.joints is not None and list(named) != list(published_body(settings.joints).joints):
        found = f"checkpoint {settings.checkpoint!r} has {', '.join(named)}"
        raise ConfigError(f"pose.joints = {settings.joints!r}: {found}; leave the key empty")


def _trained_size(content: Mapping[str, Any]) -> dict[str, int]:
    """The input that mmpose says it trained on, in the configuration that it puts beside the weights; else nothing."""
    found = INPUT_SIZE.search(str((content.get("meta") or {}).get("cfg", "")))
    return {"height": int(found["height"]), "width": int(found["width"])} if found else {}


def _import_mmpose(
    content: Mapping[str, Any], settings: CheckpointSettings, body: Body
) -> tuple["nn.Module", PoseSpec]:
    spec = PoseSpec(
        architecture=settings.architecture,
        joints=tuple(body.joints),
        skeleton=pairs(body.skeleton),
        height=settings.height,
        width=settings.width,
        padding=MMPOSE_PADDING,
        source=settings.checkpoint,
    )
    return _with_weights(spec, content.get("state_dict", content)), spec


def descriptions() -> dict[str, Path]:
    """mmpose's descriptions of data sets and their joints, by name; mmpose is not imported."""
    folder = Path(find_spec("mmpose").origin).parent / ".mim" / "configs" / "_base_" / "datasets"
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def published_body(name: str) -> Body:
    """The body of a data set that mmpose describes, such as coco or ap10k.

    Raises:
        ConfigError: it describes none of that name.
    """
    import_mmpose()
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    file = descriptions().get(name)
    if file is None:
        raise ConfigError(f"pose.joints = {name!r}: none that mmpose describes; allowed: {', '.join(descriptions())}")
    return _body(parse_pose_metainfo({"from_file": str(file)}))


def _body(described: Mapping[str, Any]) -> Body:
    names = described["keypoint_id2name"]
    return Body([names[number] for number in range(len(names))], described.get("skeleton_links", ()))


def _body_of(content: Mapping[str, Any], settings: CheckpointSettings, otherwise: Body) -> Body:
    """From the checkpoint where it says, else as the settings say, else the data set's; if their number fits."""
    source = settings.checkpoint
    weights = content.get("state_dict", content)
    heads = [weights[key] for key in ("head.final_layer.weight", "keypoint_head.final_layer.weight") if key in weights]
    if not heads:
        raise DataError(f"{source}: holds no heat map head of mmpose (head.final_layer.weight)")
    described = (content.get("meta") or {}).get("dataset_meta") or {}
    if "keypoint_id2name" in described:
        body, whose = _body(described), "its own list"
        _check_joints(settings, body.joints)
    elif settings.joints is not None:
        body, whose = published_body(settings.joints), f"pose.joints = {settings.joints!r}"
    else:
        body, whose = otherwise, "the data set"
    if len(body.joints) != heads[0].shape[0]:
        remedy = "; say whose joints it has as pose.joints, for instance ap10k" if body is otherwise else ""
        counts = f"{heads[0].shape[0]} joints, {whose} names {len(body.joints)}"
        raise DataError(f"{source}: has heat maps of {counts}{remedy}")
    return body


def _with_weights(spec: PoseSpec, tensors: Mapping[str, "Tensor"]) -> "nn.Module":
    net = build(spec)
    try:
        net.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise DataError(f"{spec.source}: weights do not fit an HRNet {spec.architecture!r}: {error}") from error
    return net


def _read_mmpose(path: Path) -> Mapping[str, Any]:
    import torch

    try:
        with torch.serialization.safe_globals(_plain_data()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: holds more than tensors and plain data, it is not opened ({error})") from error
    except (RuntimeError, EOFError) as error:
        raise DataError(f"{path}: not a complete torch checkpoint ({error})") from error


def _download(url: str) -> Mapping[str, Any]:
    import torch

    try:
        with torch.serialization.safe_globals(_plain_data()):
            return torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise DataError(
            f"{url}: could not be downloaded and read ({error}). Without a network, download it elsewhere and give "
            "the file's path as pose.checkpoint"
        ) from error


class _Ignored:
    """Stands for what mmengine logs beside the weights, which nobody needs here: it keeps nothing and runs nothing."""

    def __init__(self, *parts: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _plain_data() -> list[Any]:
    """What else than tensors may be read from an mmpose checkpoint: NumPy arrays, and its log as a placeholder.

    Each entry is the object that stands for a name in the file. The log refers to its own methods through `getattr`,
    which must not run: both names give placeholders.
    """
    import numpy as np

    arrays = np.core.multiarray
    kinds = (np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float64)
    plain = [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in kinds)]
    for part in (arrays._reconstruct, arrays.scalar):
        plain += [(part, f"numpy.{core}.multiarray.{part.__name__}") for core in ("core", "_core")]  # NumPy 1 and 2
    ignored = ("builtins.getattr", "mmengine.logging.history_buffer.HistoryBuffer")
    return plain + [(_Ignored, name) for name in ignored]
