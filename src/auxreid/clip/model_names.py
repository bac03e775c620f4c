"""Names of timm's and open_clip's models: whether there is such a one, and which are near to it."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from auxreid.plumbing.base.near_names import near

REGISTERED = re.compile(r"^@register_model\ndef (\w+)\(", re.MULTILINE)


def timm_fault(name: str) -> str | None:
    """Why timm has no model of this name, which may end in a tag; None where it has one."""
    if name.partition(".")[0] in _registered_in_timm():
        return None
    import timm

    return None if timm.is_model(name) else f"not a timm model{near(name, timm.list_models())}"


def open_clip_fault(name: str) -> str | None:
    """Why open_clip has no model of this name; None where it has one."""
    if _package("open_clip", f"model_configs/{name}.json").is_file():
        return None
    import open_clip

    return None if name in open_clip.list_models() else f"not an open_clip model{near(name, open_clip.list_models())}"


def tag_fault(name: str, tag: str) -> str | None:
    """Why open_clip has no weights of this tag for a model; None where it has some."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag.lower().replace("-", "_") in {one.replace("-", "_") for one in tags}:
        return None
    return f"neither a file nor open_clip's tag of weights for {name}, which are {', '.join(tags) or 'none'}"


@cache
def _registered_in_timm() -> frozenset[str]:
    """From timm's sources, for its import takes seconds; what stands there is a model, and there may be more."""
    texts = (path.read_text(encoding="utf-8") for path in _package("timm", "models").glob("*.py"))
    return frozenset(name for text in texts for name in REGISTERED.findall(text))


def _package(name: str, inside: str) -> Path:
    """A path in an installed package, without importing it."""
    spec = find_spec(name)
    assert spec is not None and spec.submodule_search_locations, f"{name} is not installed"
    return Path(spec.submodule_search_locations[0], inside)
