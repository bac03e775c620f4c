"""Weights that a user brings: read without running code from them, and compared with the model before they are used."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from auxreid.clip.torchscript import is_archive, read_archive
from auxreid.plumbing.base.errors import ConfigError

CONTAINERS = ("state_dict", "model")  # under which training programs put the weights beside other things
WRAPPERS = ("module.", "_orig_mod.", "model.")  # what data parallelism, compilation and Lightning put before each name
FOREIGN = {  # beginnings of names by which a file can be told, and what it is
    "image_encoder.": "a model tuned by CLIP-ReID's own code: its text tower has no token embedding, so that no chain "
    "can start from it",
    "vision_model.": "a CLIP in transformers' layout; open_clip's layout is read",
    "trunk.": "an encoder that this project tuned; name the weights that it was started from",
}
COUNTED = "num_batches_tracked"  # of a batch norm, which older files lack and torch fills in
NAMES_SHOWN = 4


def read_weights(path: str, key: str) -> dict[str, Tensor]:
    """A state dict from a local file: safetensors, torch's weights_only, or the tensors of a TorchScript archive.

    What training programs put around it is taken off: CONTAINERS, and WRAPPERS that all names begin with.

    Raises:
        ConfigError: names `key`, the file and what is wrong with it.
    """
    if not Path(path).is_file():
        raise ConfigError(f"{key} = {path!r}: no such file in {os.getcwd()}")
    try:
        content = _read(path)
    except Exception as error:  # each format raises its own; all mean the same to the user
        raise ConfigError(f"{key} = {path!r}: not a readable safetensors or state-dict file ({error})") from error
    inner = next((content[name] for name in CONTAINERS if isinstance(content.get(name), Mapping)), content)
    state = {name: tensor for name, tensor in inner.items() if isinstance(tensor, Tensor)}
    if not state:
        raise ConfigError(f"{key} = {path!r}: holds no tensors by name, but {', '.join(list(inner)[:NAMES_SHOWN])}")
    while wrapper := next((one for one in WRAPPERS if all(name.startswith(one) for name in state)), None):
        state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    return state


def _read(path: str) -> Mapping:
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    content = read_archive(path) if is_archive(path) else torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds one {type(content).__name__}")
    return content


def load_fitting(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Load a state dict that has exactly the module's tensors.

    Args:
        where: the start of the error's message: the key, the file, and the model.

    Raises:
        ConfigError: how many tensors are missing, unexpected and of another shape, and the first of each.
    """
    faults = list(_differences(module.state_dict(), state))
    if faults:
        known = [what for start, what in FOREIGN.items() if any(name.startswith(start) for name in state)]
        hint = f" It looks like {known[0]}." if known else ""
        raise ConfigError("\n".join([f"{where}: the weights are of another structure.{hint}", *faults]))
    module.load_state_dict(state)


def _differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterator[str]:
    """Up to three lines."""
    reshaped = [
        f"{name} {list(given[name].shape)} for {list(own[name].shape)}"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    missing = [name for name in own if name not in given and not name.endswith(COUNTED)]
    strange = [name for name in given if name not in own]
    for what, names in (("missing", missing), ("unexpected", strange), ("of another shape", reshaped)):
        if names:
            more = ", ..." if len(names) > NAMES_SHOWN else ""
            yield f"  {len(names)} {what}: {', '.join(names[:NAMES_SHOWN])}{more}"


def without_classifier(trunk: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A timm model's state dict without its last layer, by timm's name for it: a trunk does not classify."""
    named = trunk.pretrained_cfg.get("classifier") or ()
    layers = tuple(f"{name}." for name in ((named,) if isinstance(named, str) else named))
    return {name: tensor for name, tensor in state.items() if not name.startswith(layers)}
