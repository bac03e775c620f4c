"""Another study for as long as a command runs: params.yaml and what follows from it are then as they were.

A note in .dvc/tmp says what was there, so that the next command undoes what a killed one left. A file that somebody has
edited meanwhile stays as it is then.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.base.yaml_document import read_document
from auxreid.plumbing.dvc.held_note import held_note, write_note
from auxreid.plumbing.dvc.unfinished_study import NOTE, put_back, text_of
from auxreid.plumbing.graph import views
from auxreid.plumbing.graph.table import GRAPH_FILE, build_graph, graph_text
from auxreid.plumbing.settings.load import PARAMS, load_config, parse_config

KEY = "study"


@contextmanager
def study_for_a_while(root: Path, study: Mapping[str, Any]) -> Iterator[None]:
    """The block `study` of params.yaml, with the table of runs that follows from it, while the block runs.

    Args:
        root: the repository, which is the working folder.

    Raises:
        ConfigError: params.yaml is not valid, with its own study or with this one.
        DataError: another such command is at work.
    """
    written = texts_with(study)
    before = {name: text_of(root / name) for name in written}
    note = root / NOTE
    with held_note(note, "another command has changed the study for a while") as number:
        said = {"before": before, "written": written}
        write_note(number, said)
        try:
            for name, text in written.items():
                write_text(root / name, text)
            yield
        finally:
            if left := put_back(root, said):
                print(f"{', '.join(left)}: edited meanwhile, and left so; `auxreid plan`", file=sys.stderr)
            note.unlink(missing_ok=True)


def texts_with(study: Mapping[str, Any]) -> dict[str, str]:
    """params.yaml with this block `study`, and the files that follow from it, by name.

    Raises:
        ConfigError: as :func:`study_for_a_while`.
    """
    load_config()
    raw = read_document(PARAMS, ConfigError).value
    config = parse_config({**raw, KEY: dict(study)}, f"{PARAMS} with the study of this command")
    graph = build_graph(config)
    shown = views.views_text(views.build_views(graph, config.prompts))
    texts = {PARAMS: replaced(PARAMS.read_text(encoding="utf-8"), study)}
    texts |= {GRAPH_FILE: graph_text(graph), GRAPH_FILE.with_name(views.NAME): shown}
    return {str(path): text for path, text in texts.items()}


def replaced(text: str, study: Mapping[str, Any]) -> str:
    """params.yaml with this block `study`; the rest stays as it is written."""
    top = yaml.compose(text)
    key, value = next((key, value) for key, value in top.value if key.value == KEY)
    block = yaml.safe_dump({KEY: dict(study)}, sort_keys=False)
    end = value.end_mark.index
    return f"{text[: key.start_mark.index]}{block}\n{text[end:].lstrip(chr(10))}"
