"""Captions in pictures: every letter has a glyph or an escape, nothing is cut, and nothing touches."""

import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import ImageDraw

from auxreid.clipreid.projector_figure import projector_figure
from auxreid.data.captions import SIZE, drawable, fitted, font
from auxreid.data.contact_sheet import write_contact_sheet
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.evaluation.ranked_lists import draw_lists, frame_captions, place_entries, query_entry

MISSING = bytes(font().getmask("\U000e0041"))  # what the font shows for a character that it does not have
NAMES = ["Рекс", "Белка-Стрелка из Подмосковья", "Ωμέγα", "犬の名前", "Rex" * 9, "رکس", "Жучка 🐕", "שלום"]


def glyphs(text: str) -> list[bytes]:
    return [bytes(font().getmask(one)) for one in text if one != " "]


@pytest.mark.parametrize("text", ["Жучка", "Ωμέγα", "Đỗ Tường", "رکس", "שלום", "ąęłж", "…"])
def test_scripts_of_the_font_are_drawn_as_they_are(text):
    assert drawable(text) == text
    assert MISSING not in glyphs(text)


def test_other_characters_are_named_by_escapes():
    assert drawable("犬 Rex") == "\\u72ac Rex"
    assert drawable("🐕") == "\\U0001f415"
    assert drawable("a\tb\n") == "a b "
    assert drawable("e\u0301") == "é"  # as some file systems write it


@given(st.text(max_size=12))
def test_whatever_is_drawn_has_a_glyph(text):
    assert MISSING not in glyphs(drawable(text))


@given(st.text(max_size=30), st.integers(20, 120), st.booleans())
def test_a_caption_fits_and_keeps_one_end(text, width, keep_end):
    shown, whole = fitted(text, width, keep_end), drawable(text)
    assert font().getlength(shown) <= width
    if font().getlength(whole) <= width:
        assert shown == whole
    else:
        assert whole.endswith(shown[1:]) if keep_end else whole.startswith(shown[:-1])
        assert shown[0 if keep_end else -1] == "…"


def test_an_escape_is_kept_or_dropped_as_a_whole():
    assert {fitted("犬犬", width) for width in range(20, 100)} == {"…", "…\\u72ac", "\\u72ac\\u72ac"}


@pytest.fixture
def frames(tmp_path):
    rows = []
    for number, name in enumerate(NAMES * 3):
        image = cv2.imencode(".png", np.full((64, 32, 3), 128, np.uint8))[1].tobytes()
        row = {"path": f"{number}.png", "split": "gallery", "identity": number % len(NAMES) + 1, "width": 32}
        sequence = f"последовательность_{number}"
        rows.append(row | {"height": 64, "identity_name": name, "sequence": sequence, "image": image})
    write_frames(tmp_path / "frames.arrow", rows, FramesMeta("собаки", "dogs", "dogs", "dog"))
    return open_frames(tmp_path / "frames.arrow")


@pytest.fixture
def written(monkeypatch) -> list[tuple[tuple[float, ...], str]]:
    """The box and the text of all that is written, in the coordinates of the image that it is written on."""
    found = []
    for name, measure in (("text", "textbbox"), ("multiline_text", "multiline_textbbox")):
        monkeypatch.setattr(ImageDraw.ImageDraw, name, noting(getattr(ImageDraw.ImageDraw, name), measure, found))
    return found


def noting(write, measure: str, found: list):
    def noted(self, at, text, *arguments, **options):
        given = dict(zip(("fill", "font", "anchor", "spacing", "align"), arguments, strict=False)) | options
        given.pop("fill", None)
        if sys._getframe(1).f_code.co_filename != ImageDraw.__file__:  # else a line of a text of several
            found.append((getattr(self, measure)(at, text, **given), text, self.im.size))
        return write(self, at, text, *arguments, **options)

    return noted


def assert_inside(written) -> None:
    for (left, top, right, bottom), text, (width, height) in written:
        assert left >= 0 and top >= 0 and right <= width and bottom <= height, text


def test_captions_of_a_contact_sheet_do_not_touch(frames, written, tmp_path):
    write_contact_sheet(frames, tmp_path / "sheet.jpg")
    assert len(written) == len(frames)
    assert_inside(written)
    boxes = [box for box, *_ in written]
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]


def test_captions_of_ranked_lists_lie_inside_their_cells(frames, written):
    captions = frame_captions(frames)
    places = place_entries(np.arange(8, 18), np.ones(10, bool), captions)
    lists = [[query_entry(query, captions, "AP 0.123"), *places] for query in range(8)]
    picture = draw_lists(lists, frames.image, ["строка " * 60] * 8)
    assert len(written) == 8 * 12  # a cell is an image of its own, and cells are pasted beside each other
    assert_inside(written)
    assert picture.width <= 1150


@pytest.mark.parametrize("spread", [3e-5, 0.003, 0.3, 30.0])
def test_labels_of_figure_13_do_not_overlap(spread, tmp_path: Path):
    rng = np.random.default_rng(0)
    figure: Figure = projector_figure(rng.normal(0, spread, (16, 16)), rng.normal(0, 3 * spread, (16, 24)), "row-0")
    figure.savefig(tmp_path / "figure.png")
    for axes in figure.axes:
        low, high = axes.get_xlim()
        shown = [one for one in axes.get_xticklabels() if low <= one.get_position()[0] <= high and one.get_text()]
        boxes = [label.get_window_extent() for label in shown]
        assert len(boxes) >= 3
        assert all(one.x1 + SIZE / 2 < other.x0 for one, other in pairwise(boxes))
