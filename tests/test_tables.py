"""Tables as spreadsheets, programs and people write them: what is read, and what is named."""

import csv
import io
import unicodedata

import pytest
from dataset_folders import put
from hypothesis import given
from hypothesis import strategies as st

from auxreid.data.tables import read_table
from auxreid.plumbing.base.errors import DataError

ROWS = [["frames/a.jpg", "Żuk"], ["frames/b.jpg", "07"]]
PLAIN = "path,dog_id\nframes/a.jpg,Żuk\nframes/b.jpg,07\n"


def read(folder, content: str | bytes) -> tuple[list[str], list[int], list[list[str]]]:
    """Columns, lines and rows."""
    table = read_table(put(folder / "t.csv", content if isinstance(content, bytes) else content.encode()))
    return list(table), table.index.tolist(), table.to_numpy().tolist()


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN.encode("utf-16"),  # with its mark
        b"\xfe\xff" + PLAIN.replace(",", "\t").encode("utf-16-be"),
        PLAIN.replace("\n", ",,\n"),
        "path,dog_id\nframes/a.jpg,Żuk,,\nframes/b.jpg,07,,\n",
        PLAIN + ",\n \n,,,\n",
        'path,dog_id\n"frames/a.jpg","Żuk"\n frames/b.jpg , "07"\n',
        unicodedata.normalize("NFD", PLAIN),
    ],
)
def test_the_same_table_in_other_forms_is_read_alike(tmp_path, content):
    columns, lines, rows = read(tmp_path, content)
    assert (columns, lines, rows) == (["path", "dog_id"], [2, 3], ROWS)


def test_blank_rows_count_as_lines(tmp_path):
    for first in ("", ";;", "sep=;"):
        assert read(tmp_path, f"{first}\n\npath;dog\n\na;1\n;;\nb;2\n")[1:] == ([5, 7], [["a", "1"], ["b", "2"]])


def test_words_that_pandas_would_take_for_numbers_or_nothing_stay(tmp_path):
    words = ["NA", "null", "None", "nan", "", "007", "1e5", "True", "1,5", "2024-05-01"]
    text = "path," + ",".join(f"c{n}" for n in range(len(words))) + "\n"
    assert read(tmp_path, text + "a," + ",".join(f'"{word}"' for word in words))[2] == [["a", *words]]


def test_a_column_of_row_numbers_without_a_name_is_called_by_its_place(tmp_path):
    assert read(tmp_path, ",path,,dog\n0,a,,x\n") == (["(column 1)", "path", "dog"], [2], [["0", "a", "x"]])


def test_a_remark_over_several_lines_keeps_the_numbers_of_those_below(tmp_path):
    columns, lines, rows = read(tmp_path, 'path,dog,note\na,1,"fine,\n\nday"\nb,2,\n')
    assert (columns, lines) == (["path", "dog", "note"], [2, 5])
    assert rows == [["a", "1", "fine,\n\nday"], ["b", "2", ""]]


@given(
    rows=st.lists(st.lists(st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8")), min_size=3, max_size=3)),
    separator=st.sampled_from(",;\t"),
)
def test_what_a_csv_writer_wrote_is_read(rows, separator, tmp_path_factory):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["path", "x", "y"], *rows])
    expected = [[unicodedata.normalize("NFC", cell.strip()) for cell in row] for row in rows]
    lines = [line for line, row in enumerate(expected, start=2) if any(row)]
    found = read(tmp_path_factory.mktemp("t"), text.getvalue())
    assert found[1:] == (lines, [row for row in expected if any(row)])


LONG = "".join(f"frames/{n}.jpg,rex,fine\n" for n in range(9000))  # more than csv's limit of a field


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('path,dog,note\na,"rex,fine\n' + LONG, 2),  # never closed
        (f'path,dog,note\na,rex,"fine\n{LONG}b,rex,"good"\n', 2),  # the next quote opens another cell
        (f'path,dog,note\na,rex,"fine\n{LONG}b,rex,good"\n', 2),  # the next one seems to close it
        ('path,dog,note\na,rex,fine\n"b,rex,fine\nc,rex",fine\n', 3),
        ('path,dog,note\na,rex,fine\nb,rex"",fine\n', 3),
        ('path,dog,note\n\nb,rex,5" tall\n', 3),
        ('path,dog,note\na,rex,"one\n\nremark"\nb,"rex" the dog,fine\n', 5),
        ('path\na\n"b\nc\n"\n', 3),
    ],
)
def test_a_quote_without_a_partner_is_named_where_it_begins(tmp_path, text, line):
    with pytest.raises(DataError, match=rf"t\.csv, line {line}: a quote .*double those inside") as raised:
        read(tmp_path, text)
    assert len(str(raised.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "path,dog\na,Жучка\n".encode("cp1251"),
            r"line 2: not UTF-8 text; in code page 1251 it reads 'a,Жучка'.*iconv",
        ),
        ("path,dog\na,Žofka\n".encode("cp1252"), r"line 2: not UTF-8 text;.*in code page 1252 it reads 'a,Žofka'"),
        (PLAIN.encode("utf-16-le"), "zero bytes, as UTF-16 without its mark does; save the table as 'CSV UTF-8'"),
        (PLAIN.encode("utf-16")[:-1], "not UTF-16.* text"),
        (b"PK\x03\x04rest of a workbook", "a workbook .*; save the table as 'CSV UTF-8'"),
        (b"", "must name each column once, found an empty file"),
        (" ,,\n\n", "must name each column once, found an empty file"),
        ("path,path\n", "must name each column once, found path, path"),
        ("path,dog,note\na,1,x\nb,2\nc,3\n", r"line 3: 2 cells, the header has 3 \(wrong too: lines 4\)"),
        ("path,dog\na,1,x\n", "line 2: 3 cells, the header has 2"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        read_table(tmp_path / "none.csv")
