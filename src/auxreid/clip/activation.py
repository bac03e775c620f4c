"""Which activation an open_clip model's weights were trained with: QuickGELU, which OpenAI took, or GELU.

The names of the tensors and their shapes do not tell: a model of the other kind takes them without a word and gives
other features. open_clip goes by the tag; a file has none.
"""

from pathlib import Path

from auxreid.clip.model_names import open_clip_fault, tag_fault
from auxreid.clip.torchscript import is_archive
from auxreid.clip.weights import read_weights
from auxreid.plumbing.base.errors import ConfigError

# Beside the weights in OpenAI's archives, and in state dicts made from them; sizes, as numbers.
OPENAI_SIZES = ("input_resolution", "context_length", "vocab_size")
NAMED = "-quickgelu"  # how the name of such a model of open_clip ends


def settled(encoder):
    """An encoder section that says which activation it has, so that a tower's file explains itself.

    Raises:
        ConfigError: the model or the tag is unknown; the weights are a local file that does not tell, and the section
            does not either; or the two contradict each other.
    """
    if encoder.kind != "open_clip":
        return encoder
    if (fault := open_clip_fault(encoder.name)) is not None:
        raise ConfigError(f"encoder.name = {encoder.name!r}: {fault}")
    known, said = _known(encoder), encoder.quick_gelu
    if known is None and said is None:
        raise ConfigError(
            f"encoder.pretrained = {encoder.pretrained!r}: the file does not tell its model's activation. Add "
            f"encoder.quick_gelu: true for OpenAI's weights and others trained with QuickGELU, false for those that "
            f"open_clip lists under {encoder.name!r} without it"
        )
    if known is not None and said is not None and known != said:
        raise ConfigError(
            f"encoder.quick_gelu = {said}: {encoder.pretrained!r} of {encoder.name!r} was trained with "
            f"{'QuickGELU' if known else 'GELU'}; leave quick_gelu out"
        )
    return encoder.model_copy(update={"quick_gelu": said if known is None else known})


def _known(encoder) -> bool | None:
    """What the model's name, the tag, or the file says of its own accord."""
    from open_clip.pretrained import get_pretrained_cfg

    if encoder.name.endswith(NAMED):
        return True
    tag = get_pretrained_cfg(encoder.name, encoder.pretrained)
    if tag:
        return bool(tag.get("quick_gelu", False))
    if not Path(encoder.pretrained).is_file():
        raise ConfigError(f"encoder.pretrained = {encoder.pretrained!r}: {tag_fault(encoder.name, encoder.pretrained)}")
    state = read_weights(encoder.pretrained, "encoder.pretrained")
    return True if is_archive(encoder.pretrained) or set(OPENAI_SIZES) <= state.keys() else None
