"""The text of dvc.lock, read and written by DVC's own code: what is kept of it has the same bytes afterwards."""

from typing import Any

from auxreid.plumbing.base.errors import DataError

SCHEMA = "2.0"


def parse_lock(text: str, name: str) -> dict[str, Any]:
    """What a dvc.lock says: its entries are under "stages", none where the file is empty.

    DVC's parser is used since PyYAML takes other scalars for numbers (1e-05 would come out as a text).

    Args:
        text: what the file holds.
        name: what an error calls the file.

    Raises:
        DataError: the text is not what DVC could have written; it may hold the markers of a conflict.
    """
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
    from voluptuous import Invalid

    empty = {"schema": SCHEMA, "stages": {}}
    try:
        document = parse_yaml(text, name) or empty
        return empty | COMPILED_LOCKFILE_SCHEMA(document)
    except YAMLFileCorruptedError as error:
        raise DataError(f"{name}: not YAML, a merge conflict perhaps ({_problem(error.__cause__)})") from None
    except Invalid as error:
        raise DataError(f"{name}: not as DVC writes dvc.lock of schema {SCHEMA}: {error}") from None


def _problem(error: BaseException | None) -> str:
    mark = getattr(error, "problem_mark", None)
    return " ".join(str(error).split()) if mark is None else f"line {mark.line + 1}: {error.problem.splitlines()[0]}"


def lock_text(document: dict[str, Any]) -> str:
    """The text that DVC writes for what :func:`parse_lock` has read."""
    from dvc.utils.serialize import dumps_yaml

    return dumps_yaml(document)
