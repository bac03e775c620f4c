"""Takes entries out of dvc.lock whose stage is gone, which DVC itself never does: a row that has left the study would
stay there as a present result, and in every merge of two branches as something to agree on."""

from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.graph.lock_text import lock_text, parse_lock


def prune_lock(root: Path) -> list[str]:
    """Remove from dvc.lock the entries of stages that dvc.yaml and pipeline/graph.yaml do not have, under DVC's lock.

    The other entries keep their bytes; the outputs of the removed ones stay where they are.

    Returns:
        The names of what was removed.

    Raises:
        DataError: DVC cannot read the project, another DVC process is at work, or dvc.lock is broken.
    """
    from dvc.dvcfile import LOCK_FILE, PROJECT_FILE, load_file
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    path = root / LOCK_FILE
    if not path.is_file():
        return []
    try:
        with Repo(str(root)) as repo, lock_repo(repo):
            stages = set(load_file(repo, str(Path(repo.root_dir, PROJECT_FILE))).resolver.get_keys())
            document = parse_lock(path.read_text(encoding="utf-8"), str(path))
            gone = [name for name in document["stages"] if name not in stages]
            if gone:
                kept = {name: entry for name, entry in document["stages"].items() if name in stages}
                write_text(path, lock_text(document | {"stages": kept}))
            return gone
    except DvcException as error:
        raise DataError(f"{path}: entries of stages that are gone were left there: {error}") from None
