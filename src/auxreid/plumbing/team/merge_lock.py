"""`auxreid merge-lock`: Git's merge driver for dvc.lock, pipeline/graph.yaml and pipeline/dvc.yaml.

Git merges lines, and two branches that trained different rows have changed neighbouring ones. Here the entries of
dvc.lock are merged one by one: what one side alone has changed is taken. What cannot be known without DVC is dropped:
an entry that both have changed, where they wrote different things, and each that was made from something else than what
the merged file names. The next `dvc repro` makes it again, or takes it from the run cache. So no entry ever says what
no machine has seen, and there is no conflict to be solved by hand in a file that nobody wrote by hand.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.few import few
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.base.yaml_file import parse_yaml
from auxreid.plumbing.dvc.lock_text import lock_text, parse_lock
from auxreid.plumbing.graph import views
from auxreid.plumbing.graph.table import GRAPH_FILE, TOP_KEY, graph_text

NAMES_SHOWN = 20  # of what is dropped: where an early stage changed on both sides, it is nearly everything
PLAN = "`auxreid plan` writes it anew from params.yaml"

Stages = dict[str, dict[str, Any]]  # an entry of dvc.lock (cmd, deps, params, outs) by the stage's name
Output = tuple[str, str]  # its path, and the stage that writes it

_ABSENT: Any = object()
_UNKNOWN: Any = object()  # an output that the next `dvc repro` makes: it equals no side's


def three_way(base: Mapping, ours: Mapping, theirs: Mapping) -> tuple[dict, list]:
    """Merge mappings key by key: a change, addition or removal of one side alone is taken, and what both did alike.

    Returns:
        What results, in the order of ours, then of theirs; and the keys with which the sides did different things.
    """
    merged, disputed = {}, []
    for key in dict.fromkeys([*ours, *theirs]):
        before, mine, other = (side.get(key, _ABSENT) for side in (base, ours, theirs))
        if mine not in (before, other) and other != before:
            disputed.append(key)
        elif (taken := other if mine == before else mine) is not _ABSENT:
            merged[key] = taken
    return merged, disputed


def merge_nested(base: Mapping, ours: Mapping, theirs: Mapping) -> dict:
    """:func:`three_way` down to the innermost mappings; what is disputed there is ours."""
    merged, disputed = three_way(base, ours, theirs)
    for key in disputed:
        before, mine, other = (side.get(key, _ABSENT) for side in (base, ours, theirs))
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            merged[key] = merge_nested(before if isinstance(before, Mapping) else {}, mine, other)
        elif mine is not _ABSENT:
            merged[key] = mine
    return {key: merged[key] for key in dict.fromkeys([*ours, *theirs]) if key in merged}


def merge_stages(base: Stages, ours: Stages, theirs: Stages) -> Stages:
    """Merge the entries of dvc.lock.

    Outputs are merged by themselves as well, since an entry may differ where what it wrote does not: every new row
    changes `sources`, which reads the folder of pipeline/graph.yaml, and none of its outputs. What the next `dvc repro`
    makes otherwise than the merged outputs say, DVC sees by the hash, and goes on from there.

    Returns:
        The entries that :func:`three_way` takes, and of those that both sides have changed the ones that wrote what
        the merged outputs are. Of all these, the ones whose side says the same as the merged outputs wherever they
        read; the outputs of all others are unknown.
    """
    kept, disputed = three_way(base, ours, theirs)
    made, unknown = three_way(_outputs(base), _outputs(ours), _outputs(theirs))
    made |= dict.fromkeys(unknown, _UNKNOWN)
    kept |= _still_valid(disputed, made, (ours, theirs))
    sides = [(side, _outputs(side)) for side in (ours, theirs)]
    index = _PathIndex({**made, **sides[0][1], **sides[1][1]})
    read = {name: index.related(_dependencies(entry)) for name, entry in kept.items()}
    while stale := {name for name, entry in kept.items() if not _fits(name, entry, read[name], made, sides)}:
        for name in stale:
            del kept[name]
        made |= {output: _UNKNOWN for output in made if output[1] in stale}
    return {name: kept[name] for name in dict.fromkeys([*ours, *theirs]) if name in kept}


def _still_valid(disputed: list[str], made: dict[Output, Any], sides: tuple[Stages, Stages]) -> Stages:
    """Of entries that both sides have changed, those whose outputs are the merged ones. DVC runs such a stage again
    where it finds other dependencies than the entry names; until then, what others read is known."""
    expected: dict[str, dict[Output, Any]] = defaultdict(dict)
    for output, content in made.items():
        expected[output[1]][output] = content
    valid = {}
    for name in disputed:
        fitting = [side[name] for side in sides if name in side and _outputs({name: side[name]}) == expected.get(name)]
        if fitting:
            valid[name] = min(fitting, key=repr)  # each is true of its side; the same one, whoever merges
    return valid


def _fits(name: str, entry: dict, read: set[Output], made: dict, sides: list[tuple[Stages, dict]]) -> bool:
    """Whether a side that has this entry has the merged file's outputs wherever the entry reads."""
    return any(
        side.get(name) == entry and all(made.get(output) == outputs.get(output) for output in read)
        for side, outputs in sides
    )


def _outputs(stages: Stages) -> dict[Output, dict]:
    return {(out["path"], name): out for name, entry in stages.items() for out in entry.get("outs", ())}


def _dependencies(entry: dict) -> list[str]:
    """The paths that a stage reads, files of parameters too: that of its code is written by another stage."""
    return [dep["path"] for dep in entry.get("deps", ())] + list(entry.get("params", ()))


class _PathIndex:
    """Finds the outputs that a path has to do with: at it, below it, or a folder around it."""

    def __init__(self, outputs: Iterable[Output]) -> None:
        self.at: dict[str, set[Output]] = defaultdict(set)
        self.below: dict[str, set[Output]] = defaultdict(set)
        for output in outputs:
            path = PurePosixPath(output[0])
            self.at[str(path)].add(output)
            for folder in path.parents:
                self.below[str(folder)].add(output)

    def related(self, paths: Iterable[str]) -> set[Output]:
        found: set[Output] = set()
        for path in map(PurePosixPath, paths):
            found.update(self.below.get(str(path), ()))
            for place in (path, *path.parents):
                found.update(self.at.get(str(place), ()))
        return found


def merge_files(base: Path, ours: Path, theirs: Path, name: str) -> str:
    """Write the merged file to `ours`, as Git wants it from a merge driver. Returns a line for the user.

    Args:
        base: the common ancestor's file, empty if both sides have added theirs.
        ours: the file of the branch that is merged into, or rebased onto.
        theirs: the file of the other branch.
        name: the path of the file in the repository.

    Raises:
        DataError: names the side that cannot be read. `ours` stays as it is, and Git reports a conflict.
    """
    labels = {f"{name} ({label})": path for label, path in (("base", base), ("ours", ours), ("theirs", theirs))}
    texts = {label: _read(path, label) for label, path in labels.items()}
    merges = {GRAPH_FILE: _merged_graph, GRAPH_FILE.with_name(views.NAME): _merged_views}
    text, line = merges.get(Path(name), _merged_lock)(texts)
    write_text(ours, text)
    return f"{name}: {line}"


def _read(path: Path, label: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{label}: not a text in UTF-8: {error.reason} at byte {error.start}") from None


def _merged_lock(texts: dict[str, str]) -> tuple[str, str]:
    documents = [parse_lock(text, label) for label, text in texts.items()]
    stages = [document["stages"] for document in documents]
    merged = merge_stages(*stages)
    return lock_text(merge_nested(*documents) | {"stages": merged}), _summary(merged, *stages)


def _summary(merged: Stages, base: Stages, ours: Stages, theirs: Stages) -> str:
    mine = sum(entry != theirs.get(name) for name, entry in merged.items())
    other = sum(entry != ours.get(name) for name, entry in merged.items())
    counts = f"{mine} entries are ours alone, {other} theirs, {len(merged) - mine - other} were alike"
    dropped = _dropped(merged, base, ours, theirs)
    if not dropped:
        return f"{counts}; none dropped"
    return f"{counts}; {len(dropped)} dropped, for `dvc repro` to make: {few(dropped, NAMES_SHOWN)}"


def _dropped(merged: Stages, base: Stages, ours: Stages, theirs: Stages) -> list[str]:
    """What a side has and the merged file has not, although no side alone has removed it."""
    taken, disputed = three_way(base, ours, theirs)
    missing = {*taken, *disputed} - merged.keys()
    return [name for name in dict.fromkeys([*ours, *theirs]) if name in missing]


def _merged_graph(texts: dict[str, str]) -> tuple[str, str]:
    """Two branches that add a row each do not conflict; a row that both changed is what `plan` makes of params.yaml."""
    graphs = [_parse_graph(text, label) for label, text in texts.items()]
    return graph_text(merge_nested(*graphs)), f"merged; {PLAN}"


def _parse_graph(text: str, label: str) -> dict:
    document = parse_yaml(Path(label), text.encode(), DataError, PLAN, PLAN) or {TOP_KEY: {}}
    if not isinstance(document, dict) or not isinstance(document.get(TOP_KEY), dict):
        raise DataError(f"{label}: no mapping named '{TOP_KEY}', as `auxreid plan` writes it; {PLAN}")
    return document[TOP_KEY]


def _merged_views(texts: dict[str, str]) -> tuple[str, str]:
    """As the table of runs: the plots and artifacts of both sides."""
    sides = [_parse_views(text, label) for label, text in texts.items()]
    return views.views_text(merge_nested(*sides)), f"merged; {PLAN}"


def _parse_views(text: str, label: str) -> dict:
    found = views.parse_views(parse_yaml(Path(label), text.encode(), DataError, PLAN, PLAN) or {"plots": []})
    if found is None:
        raise DataError(f"{label}: no list of plots and mapping of artifacts, as `auxreid plan` writes them; {PLAN}")
    return found
