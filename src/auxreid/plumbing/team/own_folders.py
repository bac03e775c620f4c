"""Keeps DVC away from the folders that users brought.

DVC notes each path that it has put into the workspace. A `dvc checkout` or `dvc pull` without targets deletes those of
them that no stage and no .dvc file names any more, if they are as DVC left them. That is right for results. But in a
clone from the time when data.dvc described all of data/, that folder is among them, with all that its user keeps there;
and a folder in raw/ is, from a `dvc add` on, also after `dvc remove`.

So whatever is not a result is struck off DVC's notes. Before any command of ours has run, data/sample.md stands in: Git
brings it, and with a file that DVC never saw, data/ is no longer as DVC left it.
"""

from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.few import few
from auxreid.plumbing.base.yaml_file import read_yaml
from auxreid.plumbing.settings.load import load_config

DATA, RAW, RESULTS = "data", "raw", "results"
SAMPLE_FILE = "data.dvc"
OURS = {"sample", "sample.md"}  # in data/
FORMER = {"sample_people", "sample_dogs"}  # the sample, where it lay in data/ before
NAMES_SHOWN = 5


def look_after(root: Path) -> list[str]:
    """Make DVC forget the folders that it did not make itself; nothing is moved or deleted.

    Returns:
        Lines that tell where to move what lies in data/; none where there is only the sample.

    Raises:
        ConfigError: DVC cannot open the repository.
    """
    if _describes_all(root):
        return []
    found = _names(root / DATA) - OURS
    if (found or _names(root / RAW)) and (root / ".dvc").is_dir():
        _forget_links(root)
    lines = [_advice(root, sorted(found - FORMER))] if found - FORMER else []
    if former := sorted(found & FORMER):
        lines.append(f"{_in_data(former)}: the sample's former place; may be deleted by hand")
    return lines


def check_sample_file(root: Path) -> None:
    """Make sure that data.dvc describes the sample alone.

    Raises:
        ConfigError: it describes all of data/, as it once did and a merge may have left it.
    """
    if _describes_all(root):
        raise ConfigError(
            f"{root / SAMPLE_FILE}: outs: path = {DATA!r}, allowed: '{DATA}/sample', for DVC would take all of {DATA}/ "
            f"into its cache; take the project's own file again (`git log {SAMPLE_FILE}` names the commits that had it)"
        )


def _describes_all(root: Path) -> bool:
    """Whether data.dvc speaks of all of data/, which is then DVC's."""
    path = root / SAMPLE_FILE
    if not path.is_file():
        return False
    remedy = f"take the side, or the former file, that says `path: {DATA}/sample`"
    text = read_yaml(path, ConfigError, remedy, resolve=remedy)
    outs = text.get("outs", []) if isinstance(text, dict) else []
    return any(out.get("path") == DATA for out in outs)


def _names(folder: Path) -> set[str]:
    """What lies in a folder; not what is hidden, which no one brought as data."""
    return {path.name for path in folder.iterdir() if path.name[0] != "."} if folder.is_dir() else set()


def _forget_links(root: Path) -> None:
    """Of a folder that DVC does own, too: all that is lost is that DVC would clear it away by itself one day."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo, repo.state.links as links:
            for path in [path for path in links if Path(path).parts[:1] != (RESULTS,)]:
                del links[path]
    except DvcException as error:
        raise ConfigError(f"{root.resolve()}: DVC cannot open it: {error}") from None


def _advice(root: Path, names: list[str]) -> str:
    """How to move folders of data/ to raw/, and the keys of params.yaml that name them."""
    try:
        datasets = load_config(root / "params.yaml").datasets
    except ConfigError:  # which the command itself will report
        datasets = {}
    named = {key: Path(body.folder).parts for key, body in datasets.items()}
    keys = [
        f"datasets.{key}.folder: {'/'.join((RAW, *parts[1:]))}"
        for key, parts in named.items()
        if parts[:1] == (DATA,) and parts[1:2] and parts[1] in names
    ]
    moved = " ".join(f"{DATA}/{name}" for name in names[:NAMES_SHOWN])
    then = f", then in params.yaml {', '.join(keys)}" if keys else ""
    return f"{_in_data(names)}: yours, in the sample's place; `mkdir -p {RAW} && mv -n {moved} {RAW}/`{then}"


def _in_data(names: list[str]) -> str:
    return few((f"{DATA}/{name}" for name in names), NAMES_SHOWN)
