"""Attributes per person, from Market-1501's MATLAB file or from a CSV file."""

from pathlib import Path

import numpy as np

from auxreid.data.layouts.listing import Listing, check_words
from auxreid.data.tables import column_notes, look_alikes, read_table
from auxreid.data.vocabulary import PERSON_ATTRIBUTES
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.few import few

OTHER_NAMES = ("id", "person", "person_id", "pid", "name")  # that tables have in place of identity
PersonTable = dict[str, dict[str, str | None]]  # identity name -> attribute -> word


def read_person_attributes(path: Path, name_form: str, listing: Listing) -> PersonTable:
    """Read a table of attributes and note in `listing` which ones it has and what is wrong with it.

    `name_form` turns a bare number into an identity's name, for example "person_{:04d}".

    Raises:
        DataError: the file is not there, cannot be read, or lacks a column that it must have.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    return _read_mat(path, listing) if path.suffix.lower() == ".mat" else _read_csv(path, name_form, listing)


def _read_mat(path: Path, listing: Listing) -> PersonTable:
    """`market_attribute.mat`: a struct with the members train and test; in each, one array of codes per attribute, and
    image_index, the identities. Both list the same attributes in different orders, hence by name alone."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        struct = loadmat(path, squeeze_me=True, struct_as_record=False)["market_attribute"]
        members = {name: getattr(struct, name) for name in ("train", "test")}
    except (MatReadError, KeyError, AttributeError, ValueError, NotImplementedError, OSError) as error:
        raise DataError(f"{path}: expected a struct market_attribute with members train and test ({error})") from error
    listing.attributes = dict(PERSON_ATTRIBUTES)
    table: PersonTable = {}
    for member, columns in members.items():
        missing = [name for name in (*PERSON_ATTRIBUTES, "image_index") if not hasattr(columns, name)]
        if missing:
            raise DataError(f"{path}, member {member}: missing columns: {', '.join(missing)}")
        people = np.atleast_1d(columns.image_index)
        uneven = [name for name in PERSON_ATTRIBUTES if np.size(getattr(columns, name)) != len(people)]
        if uneven:
            raise DataError(f"{path}, member {member}: not {len(people)} values, one per identity: {', '.join(uneven)}")
        for row, identity in enumerate(people):
            where = f"{path}, member {member}, row {row} (identity {identity})"
            if identity in table:
                listing.fault("identities listed twice", f"{where}: this identity is listed twice")
            codes = {name: np.atleast_1d(getattr(columns, name))[row] for name in PERSON_ATTRIBUTES}
            table[str(identity)] = _words(where, codes, listing)
    return table


def _words(where: str, codes: dict[str, float], listing: Listing) -> dict[str, str | None]:
    words: dict[str, str | None] = {}
    for name, code in codes.items():
        allowed = PERSON_ATTRIBUTES[name]
        if code in range(1, len(allowed) + 1):
            words[name] = allowed[int(code) - 1]
        else:
            meaning = ", ".join(f"{number} ({word})" for number, word in enumerate(allowed, start=1))
            listing.fault(f"column {name}", f"{where}, column {name}: {code}, allowed: {meaning}")
    return words


def _read_csv(path: Path, name_form: str, listing: Listing) -> PersonTable:
    """A CSV file with the column identity (a name or a number) and any of the attributes, as words. An empty cell is a
    missing value."""
    rows = read_table(path)
    header = list(rows)
    if "identity" not in header:
        meant = look_alikes(header, "identity", OTHER_NAMES)
        raise DataError(f"{path}: missing column identity, found: {', '.join(header)}{meant}")
    listing.attributes = {name: words for name, words in PERSON_ATTRIBUTES.items() if name in header}
    if not listing.attributes:
        raise DataError(f"{path}: no attribute column; known are {', '.join(PERSON_ATTRIBUTES)}")
    listing.warnings += [f"{path}: {note}" for note in column_notes(header, ("identity", *PERSON_ATTRIBUTES), {})]
    table: PersonTable = {}
    for line, row in zip(rows.index, rows.to_dict("records"), strict=True):
        given = row["identity"]
        identity = name_form.format(int(given)) if given.isdecimal() else given
        where = f"{path}, line {line} (identity {given})"
        if identity in table:
            listing.fault("identities listed twice", f"{where}: this identity is listed twice")
        table[identity] = {name: row[name] or None for name in listing.attributes}
        listing.faults += check_words(where, table[identity], listing.attributes)
    return table


def note_people_without(people: set[str], table: PersonTable, path: Path, listing: Listing) -> None:
    """Warn of people whom the table does not describe, and of rows that describe nobody."""
    undescribed = sorted(people - table.keys())
    if undescribed:
        listing.warnings.append(f"{path}: no attributes of {len(undescribed)} people: {few(undescribed)}")
    unused = sorted(table.keys() - people)
    if unused:
        listing.warnings.append(f"{path}: {len(unused)} rows describe nobody in the data set: {few(unused)}")
