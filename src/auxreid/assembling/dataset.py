"""The data set on the disk: copies of its photographs and frames.csv, as the layout `dogs` reads them."""

import csv
import io
import shutil
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from auxreid.assembling.items import Item
from auxreid.assembling.proposals import Proposal
from auxreid.assembling.taken import date_of
from auxreid.assembling.workplace import Workplace, write_if_new
from auxreid.plumbing.base.files import finished_file

COLUMNS = ("path", "dog_id", "sequence", "date", "split")


def rows_of(
    dogs: Mapping[str, Proposal],
    items: Mapping[str, Item],
    sequence_of: Mapping[str, str],
    split_of: Mapping[str, str],
    words: Mapping[str, Mapping[str, str]],
) -> list[dict[str, str]]:
    """A row for each photograph, by dog and then in the set's order.

    A single photograph that no person has confirmed has no dog: it may be one of another dog's, and would be taken for
    a wrong match of it.

    Args:
        words: the attributes of each dog; empty where they were not predicted.
    """
    rows = []
    for dog, one in dogs.items():
        named = "" if one.is_single else dog
        for photo in sorted(one.photos, key=list(items).index):
            row = {"path": f"photos/{file_name(items[photo])}", "dog_id": named, "sequence": sequence_of[photo]}
            row |= {"date": date_of(items[photo].look.taken), "split": split_of[dog]}
            rows.append(row | dict(words.get(dog, {})))
    return rows


def file_name(item: Item) -> str:
    """Of a photograph's copy."""
    return f"{item.photo}{item.path.suffix.lower()}"


def dog_words(
    dogs: Mapping[str, Proposal], place: Mapping[str, int], values: np.ndarray, vocabulary: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str]]:
    """The attributes of each dog: the words that are most probable in the mean over its photographs."""
    ends = np.cumsum([len(words) for words in vocabulary.values()])[:-1]
    found = {}
    for dog, one in dogs.items():
        parts = np.split(values[[place[photo] for photo in one.photos]].mean(axis=0), ends)
        found[dog] = {
            name: words[int(part.argmax())] for (name, words), part in zip(vocabulary.items(), parts, strict=True)
        }
    return found


def write_dataset(work: Workplace, rows: Sequence[Mapping[str, str]], items: Iterable[Item]) -> None:
    """Copy the photographs that are listed, take away copies of read ones that are not, and write the table last."""
    listed = {row["path"] for row in rows}
    work.photos.mkdir(parents=True, exist_ok=True)
    for item in items:
        copy = work.photos / file_name(item)
        if f"photos/{copy.name}" not in listed:
            copy.unlink(missing_ok=True)
        elif not copy.exists():
            with finished_file(copy) as unfinished:
                shutil.copyfile(item.path, unfinished)
    columns = [*COLUMNS, *(name for name in (rows[0] if rows else ()) if name not in COLUMNS)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_if_new(work.table, text.getvalue())
