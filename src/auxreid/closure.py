"""The source files that a pipeline script imports from this repository, directly or not: deps in dvc.yaml."""

import io
from modulefinder import ModuleFinder
from pathlib import Path

from ruamel.yaml import YAML

from auxreid.errors import ConfigError
from auxreid.files import write_text

STAGES_FILE = Path("dvc.yaml")


def import_closure(script: Path, root: Path) -> list[str]:
    """Files of `root`/src that `script` imports, imports inside functions included, and the script itself.

    Package files (`__init__.py`) are left out: they are empty in this project.

    Returns:
        Paths relative to `root`, the script first, the others sorted.
    """
    finder = ModuleFinder(path=[str(root / "src")])
    finder.run_script(str(root / script))
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    inside = {file.relative_to(root).as_posix() for file in files if file.is_relative_to(root / "src")}
    return [script.as_posix(), *sorted(name for name in inside if not name.endswith("__init__.py"))]


def source_deps(root: Path) -> dict[str, list[str]]:
    """The import closure of every stage in dvc.yaml, by stage."""
    stages = YAML().load((root / STAGES_FILE).read_text(encoding="utf-8"))["stages"]
    return {stage: import_closure(Path(f"pipeline/{stage}.py"), root.resolve()) for stage in stages}


def write_source_deps(root: Path) -> None:
    """Replace the Python files among each stage's deps in dvc.yaml by its import closure; comments stay."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load((root / STAGES_FILE).read_text(encoding="utf-8"))
    for stage, files in source_deps(root).items():
        deps = document["stages"][stage]["do"]["deps"]
        deps[:] = [dep for dep in deps if not dep.endswith(".py")] + files
    buffer = io.StringIO()
    yaml.dump(document, buffer)
    write_text(root / STAGES_FILE, buffer.getvalue())


def check_source_deps(root: Path) -> None:
    """Compare dvc.yaml's source deps with the import closures.

    Raises:
        ConfigError: names the stage and the files that are missing or superfluous.
    """
    document = YAML().load((root / STAGES_FILE).read_text(encoding="utf-8"))
    for stage, files in source_deps(root).items():
        listed = {dep for dep in document["stages"][stage]["do"]["deps"] if dep.endswith(".py")}
        if listed != set(files):
            raise ConfigError(
                f"{STAGES_FILE}: deps of {stage}: missing {sorted(set(files) - listed)}, "
                f"superfluous {sorted(listed - set(files))}; run `auxreid plan`"
            )
