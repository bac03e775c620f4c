"""A copy of the project that is no Git repository, as an unpacked ZIP is: DVC has to be told to work without one."""

from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.yaml_file import one_line

OPTION = "no_scm"  # of DVC's section core
TOLD = (
    f"no Git repository here: .dvc/config.local now has core.{OPTION} = true, so that DVC works without one. Records "
    "name no commit; experiments, merging and fan-out need `git init` and a commit"
)
BACK = f"there is a Git repository, and DVC does not use it: dvc config --local --unset core.{OPTION}"


def tell_dvc(root: Path) -> list[str]:
    """Set DVC's option where there is no Git repository; returns what there is to say of it.

    Nothing is done where the option is set already, in whatever file of DVC's. Where Git came later, the line that
    takes the option back is told and not run: it may have been meant.

    Raises:
        ConfigError: the option cannot be read or written.
    """
    local = root / ".dvc/config.local"
    if not local.parent.is_dir() or (_in_git(root) and not local.is_file()):
        return []
    from dvc.config import Config
    from dvc.config import ConfigError as Unreadable

    try:
        config = Config(dvc_dir=str(local.parent))
        if bool(config["core"].get(OPTION)) is not _in_git(root):
            return []
        if _in_git(root):
            return [BACK]
        with config.edit("local") as own:
            own.setdefault("core", {})[OPTION] = True
    except (Unreadable, OSError) as error:
        raise ConfigError(f"{local}: DVC says: {one_line(error)}") from None
    return [TOLD]


def _in_git(root: Path) -> bool:
    """Whether a folder is one of a Git repository, or of a worktree, whose .git is a file."""
    return any((folder / ".git").exists() for folder in (root.absolute(), *root.absolute().parents))
