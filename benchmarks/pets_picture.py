"""The picture of the lost-pet search's page: a search on a service that runs, in a headless Chromium.

    make pets                 # in another terminal: serves the page over the sample's dogs
    python benchmarks/pets_picture.py http://127.0.0.1:8000 [PHOTO...] [--text "erect ears"] [--to docs/pets.jpg]

PHOTO: one to six photographs of one dog. Without: a dog of the sample on two days that the sample has not; all its dogs
are rendered for that, which takes some minutes. On the left of the picture is what a person did, on the right the
decision and the dogs that were found.
"""

import argparse
import io
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from auxreid.sample.dog_set import render_dogs

DOG, TEXT = "dog_003", "large grey dog with semi-erect ears and a long coat"
WINDOW = {"width": 1360, "height": 900}
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUALITIES = (90, 80, 70, 60)
LARGEST = 200_000  # bytes
LOADED = "all => all.filter(one => one.getBoundingClientRect().top < innerHeight).every(one => one.naturalWidth)"


def searched(page, address: str, photos: Sequence[Path], text: str) -> bytes:
    """Search by these photographs. Returns the window as a PNG, the results at its top."""
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    with page.expect_response("**/api/look"):
        page.set_input_files("#query-photos input[multiple]", photos)
    page.wait_for_selector("#attributes[aria-busy=false] [data-state=predicted]")
    page.fill("#text", text)
    page.click("#go")
    page.wait_for_selector("#results[aria-busy=false] .dogs")
    while not page.eval_on_selector_all(".dog .photo img", LOADED):
        page.wait_for_timeout(50)
    return page.screenshot()


def small_jpeg(png: bytes) -> bytes:
    """As a JPEG of at most LARGEST bytes, as good as that allows."""
    with Image.open(io.BytesIO(png)) as image:
        for quality in QUALITIES:
            file = io.BytesIO()
            image.convert("RGB").save(file, "JPEG", quality=quality, optimize=True)
            if file.tell() <= LARGEST:
                return file.getvalue()
    raise SystemExit(f"more than {LARGEST} bytes even at quality {QUALITIES[-1]}")


def other_days(folder: Path) -> list[Path]:
    """The sample's dog on days that the sample has not: its third and fourth sequence, where the sample has two."""
    walks = render_dogs(folder, sequences=(4, 4)) / "frames" / DOG
    return [walks / f"s{number}_01.jpg" for number in (3, 4)]


def main() -> None:
    """Make the picture."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--to", type=Path, default=Path("docs/pets.jpg"))
    asked = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed")
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=SWITCHES) as browser,
    ):
        page = browser.new_page(viewport=WINDOW, locale="en")
        picture = small_jpeg(searched(page, asked.address, asked.photos or other_days(Path(folder)), asked.text))
    asked.to.write_bytes(picture)
    print(f"{asked.to}: {len(picture)} bytes")


if __name__ == "__main__":
    main()
