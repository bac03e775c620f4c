"""Takes entries out of dvc.lock whose stage is gone, which DVC itself never does: a row that has left the study would
stay there as a present result, and in every merge of two branches as something to agree on."""

from pathlib import Path

from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.dvc.lock_text import lock_text, parse_lock
from auxreid.plumbing.dvc.lockfile import LOCK_FILE
from auxreid.plumbing.dvc.repo import locked, opened_repo
from auxreid.plumbing.dvc.stages import STAGES_FILE


def prune_lock(root: Path) -> list[str]:
    """Remove from dvc.lock the entries of stages that dvc.yaml and pipeline/graph.yaml do not have, under DVC's lock.

    The other entries keep their bytes; the outputs of the removed ones stay where they are.

    Returns:
        The names of what was removed.

    Raises:
        ConfigError: DVC cannot read the project.
        DataError: dvc.lock cannot be read.
    """
    from dvc.dvcfile import load_file

    path = root / LOCK_FILE
    if not path.is_file():
        return []
    with opened_repo(root) as repo, locked(repo):
        stages = set(load_file(repo, str(Path(repo.root_dir, STAGES_FILE))).resolver.get_keys())
        document = parse_lock(path.read_text(encoding="utf-8"), str(path))
        kept = {name: entry for name, entry in document["stages"].items() if name in stages}
        gone = [name for name in document["stages"] if name not in stages]
        if gone:
            write_text(path, lock_text(document | {"stages": kept}))
        return gone
