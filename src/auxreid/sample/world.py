"""Who exists in the sample, and what they look like for good: drawn from a seed before any picture is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from auxreid.data.vocabulary import DOG_ATTRIBUTES, PERSON_ATTRIBUTES
from auxreid.sample.canvas import Colour, blended, tinted

T = TypeVar("T")

CLOTHES_COLOURS: dict[str, Colour] = {
    "black": (36, 36, 40),
    "white": (228, 228, 224),
    "red": (184, 44, 46),
    "purple": (118, 62, 148),
    "yellow": (222, 190, 62),
    "gray": (132, 132, 134),
    "blue": (46, 82, 164),
    "green": (52, 122, 72),
    "pink": (226, 142, 164),
    "brown": (112, 78, 52),
}
# Out of 96 people: few colours dress most of them, as in a street.
UPPER_SHARES = {"black": 22, "white": 19, "gray": 15, "blue": 13, "red": 10, "green": 7, "yellow": 5, "purple": 5}
LOWER_SHARES = {
    **{"black": 28, "blue": 22, "gray": 16, "brown": 10},
    **{"white": 6, "green": 5, "pink": 4, "yellow": 3, "purple": 2},
}
PATTERNS = ("plain", "rings", "pinstripes", "chest_band", "print", "yoke", "jacket", "check", "dots", "hem")
SKIN: tuple[Colour, ...] = ((236, 196, 168), (222, 176, 142), (190, 140, 106), (142, 98, 72), (98, 66, 50))
HAIR: tuple[Colour, ...] = ((30, 26, 26), (58, 40, 30), (96, 64, 40), (196, 158, 92), (140, 66, 36))
GRAY_HAIR: Colour = (186, 186, 190)
SHOES: tuple[Colour, ...] = ((32, 32, 34), (224, 224, 222), (150, 96, 56), (184, 46, 48), (52, 88, 168), (214, 188, 60))


@dataclass(frozen=True)
class PersonLook:
    """Everything that stays with a person from camera to camera."""

    attributes: Mapping[str, str]  # the 27 columns
    height: float  # of 1.0, the tallest
    build: float  # width of trunk and limbs, 1.0 the usual
    skin: Colour
    hair: Colour
    upper: Colour
    lower: Colour
    pattern: str
    accent: Colour  # of the pattern, and of the sleeves where they differ
    accent_sleeves: bool
    side_stripe: bool  # along the trousers
    shoes: Colour
    hat: Colour
    carried: Colour  # the bag or backpack
    strap: Colour

    def has(self, attribute: str) -> bool:
        return self.attributes[attribute] == "yes"


def rng_of(seed: int, *names: int) -> np.random.Generator:
    """A random stream of its own for each thing: independent of how many other things there are."""
    return np.random.Generator(np.random.PCG64([seed, *names]))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(rng.random())


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def chance(rng: np.random.Generator, share: float) -> bool:
    return float(rng.random()) < share


def dealt(rng: np.random.Generator, shares: Mapping[T, int], count: int) -> list[T]:
    """`count` values in the given shares, rare ones included where there is room for them, in random order."""
    total = sum(shares.values())
    deck: list[T] = []
    for value, share in shares.items():
        deck += [value] * max(round(share * count / total), min(2, count // len(shares)))
    common = max(shares, key=lambda value: shares[value])
    deck += [common] * max(count - len(deck), 0)
    return [deck[i] for i in random_order(rng, len(deck))][:count]


def make_people(count: int, seed: int) -> list[PersonLook]:
    """People with the attributes of a street: common colours are common, every word of the vocabulary occurs."""
    rng = rng_of(seed, 1)
    uppers, lowers = dealt(rng, UPPER_SHARES, count), dealt(rng, LOWER_SHARES, count)
    genders = dealt(rng, {"male": 1, "female": 1}, count)
    ages = dealt(rng, {"adult": 56, "teenager": 24, "old": 12, "young": 8}, count)
    columns = zip(uppers, lowers, genders, ages, strict=True)
    return [_person(rng_of(seed, 2, number), *column) for number, column in enumerate(columns)]


def _person(rng: np.random.Generator, upper: str, lower: str, gender: str, age: str) -> PersonLook:
    female = gender == "female"
    dress = female and chance(rng, 0.4)
    carried = pick(rng, ("backpack", "bag", "handbag", "backpack", "bag", "", "", ""))
    attributes = {name: "no" for name in PERSON_ATTRIBUTES} | {
        "gender": gender,
        "hair": "long" if chance(rng, 0.75 if female else 0.08) else "short",
        "up": "short" if chance(rng, 0.55) else "long",
        "down": "short" if chance(rng, 0.6 if dress else 0.28) else "long",
        "clothes": "dress" if dress else "pants",
        "hat": "yes" if chance(rng, 0.18) else "no",
        "age": age,
        f"up{upper}": "yes",
        f"down{lower}": "yes",
    }
    if carried:
        attributes[carried] = "yes"
    body, other = _shade_of(rng, CLOTHES_COLOURS[upper]), _contrast(rng, upper)
    hair = GRAY_HAIR if age == "old" else pick(rng, HAIR)
    return PersonLook(
        attributes=attributes,
        height={"young": 0.84, "teenager": 0.93, "adult": 0.98, "old": 0.93}[age]
        * between(rng, 0.97, 1.02)
        * (0.97 if female else 1.0),
        build=between(rng, 0.88, 1.22) * (0.92 if female else 1.0) * (1.06 if age == "old" else 1.0),
        skin=_shade_of(rng, pick(rng, SKIN), 8),
        hair=hair,
        upper=body,
        lower=_shade_of(rng, CLOTHES_COLOURS[lower]),
        pattern=pick(rng, PATTERNS),
        accent=other,
        accent_sleeves=chance(rng, 0.25),
        side_stripe=not dress and chance(rng, 0.25),
        shoes=pick(rng, SHOES),
        hat=pick(rng, tuple(CLOTHES_COLOURS.values())),
        carried=pick(rng, ((44, 44, 48), (120, 72, 44), (60, 96, 160), (168, 48, 52), (92, 110, 66), (200, 190, 170))),
        strap=pick(rng, ((30, 30, 32), (206, 200, 188), (150, 90, 50))),
    )


def _shade_of(rng: np.random.Generator, colour: Colour, spread: int = 14) -> Colour:
    """A person's own shade of a colour word: lighter or darker, and a little off in hue."""
    darker = int(rng.integers(-spread, spread + 1))
    red, green, blue = (min(248, max(14, c + darker + int(rng.integers(-6, 7)))) for c in colour)
    return red, green, blue


def _contrast(rng: np.random.Generator, word: str) -> Colour:
    """A second colour that can be told from the first at 64 pixels of width."""
    dark = ("black", "blue", "purple", "green", "red", "brown")
    light = ("white", "yellow", "pink", "gray")
    return CLOTHES_COLOURS[pick(rng, light if word in dark else dark)]


# ---------------------------------------------------------------------------------------------------------------- dogs

COATS_OF_COLOUR: dict[str, tuple[Colour, Colour]] = {  # main colour, second colour (points, patches or stripes)
    "black": ((44, 42, 44), (90, 84, 82)),
    "white": ((232, 228, 220), (196, 176, 150)),
    "brown": ((104, 66, 44), (70, 44, 32)),
    "red_golden": ((196, 128, 62), (228, 184, 124)),
    "grey": ((138, 138, 144), (92, 92, 100)),
    "black_and_tan": ((46, 42, 42), (186, 118, 62)),
    "brindle_fawn": ((190, 148, 100), (82, 60, 46)),
    "multicolor": ((230, 224, 214), (116, 70, 42)),
}
COLLARS: tuple[Colour, ...] = (
    (196, 40, 44),
    (40, 88, 190),
    (46, 140, 70),
    (236, 190, 40),
    (220, 96, 160),
    (40, 40, 44),
)
LEGS = ("left_front", "right_front", "left_back", "right_back")


@dataclass(frozen=True)
class Spot:
    """A patch on the trunk: where along it (0 rump, 1 chest), where around it (-1 belly, 1 back), how large."""

    left: bool
    along: float
    around: float
    size: float
    dark: bool


@dataclass(frozen=True)
class Markings:
    """What tells a dog from another of the same colour, size and coat; None means no collar."""

    blaze: float  # width of the white stripe on the face, 0 for none
    chest: bool
    socks: tuple[bool, bool, bool, bool]
    tail_tip: bool
    saddle: bool
    eye_patch: str  # "", "left", "right"
    ear_patch: str
    spots: tuple[Spot, ...]
    collar: Colour | None


@dataclass(frozen=True)
class DogLook:
    """Everything that stays with a dog from sequence to sequence."""

    attributes: Mapping[str, str]
    main: Colour
    second: Colour
    mark: Colour  # of blaze, socks, chest and tail tip
    scale: float  # within its size class
    tail_up: float  # degrees above the back
    markings: Markings


def make_dogs(count: int, seed: int) -> list[DogLook]:
    """Dogs in the order of their numbers; the first and the second of each five share all six attributes.

    Each attribute's values are dealt in turn, so that all occur about equally often.
    """
    rng = rng_of(seed, 3)
    columns = {name: _in_turn(rng, values, count) for name, values in DOG_ATTRIBUTES.items()}
    dogs = [_dog(rng_of(seed, 4, i), {name: columns[name][i] for name in DOG_ATTRIBUTES}) for i in range(count)]
    for i in range(1, count, 5):  # the dog before it, in attributes; all else is its own
        twin = _dog(rng_of(seed, 5, i), dogs[i - 1].attributes)
        dogs[i] = replace(twin, markings=_unlike(dogs[i - 1].markings, twin.markings))
    return dogs


def _in_turn(rng: np.random.Generator, values: Sequence[str], count: int) -> list[str]:
    column: list[str] = []
    while len(column) < count:
        column += [values[i] for i in random_order(rng, len(values))]
    return column[:count]


def _dog(rng: np.random.Generator, attributes: Mapping[str, str]) -> DogLook:
    colour = attributes["color"]
    main, second = COATS_OF_COLOUR[colour]
    main = _shade_of(rng, main, 10)
    return DogLook(
        attributes=attributes,
        main=main,
        second=pick(rng, ((40, 38, 40), (116, 70, 42), (186, 118, 62))) if colour == "multicolor" else second,
        mark=(88, 74, 64) if colour in ("white", "multicolor") else (238, 234, 226),
        scale=between(rng, 0.94, 1.06),
        tail_up=between(rng, -35, 60),
        markings=_markings(rng, colour),
    )


def _markings(rng: np.random.Generator, colour: str) -> Markings:
    pied = colour == "multicolor"
    return Markings(
        blaze=pick(rng, (0.0, 0.0, 0.25, 0.45)),
        chest=chance(rng, 0.4),
        socks=tuple(chance(rng, 0.35) for _ in LEGS),
        tail_tip=chance(rng, 0.35),
        saddle=chance(rng, 0.25),
        eye_patch=pick(rng, ("", "", "left", "right", "both")),
        ear_patch=pick(rng, ("", "both", "left", "right")),
        spots=tuple(
            Spot(
                left,
                between(rng, 0.05, 0.95),
                between(rng, -0.5, 0.75),
                between(rng, 0.35, 0.85) + 0.35 * pied,
                chance(rng, 0.5),
            )
            for left in (True, False)
            for _ in range(int(rng.integers(2, 5)) if pied else int(rng.integers(0, 3)))
        ),
        collar=pick(rng, COLLARS) if chance(rng, 0.6) else None,
    )


def _unlike(first: Markings, second: Markings) -> Markings:
    """The second markings, differing from the first where it can be seen from every side."""
    socks = second.socks if second.socks != first.socks else tuple(not sock for sock in first.socks)
    collar = second.collar if second.collar != first.collar else COLLARS[1 if first.collar != COLLARS[1] else 0]
    return replace(second, socks=socks, collar=collar, saddle=not first.saddle)


def random_order(rng: np.random.Generator, count: int) -> list[int]:
    """A random order by sorting random numbers: the same in every NumPy, unlike shuffle's internals."""
    keys = [int(rng.integers(1 << 62)) for _ in range(count)]
    return sorted(range(count), key=lambda i: (keys[i], i))


def stripes_colour(look: DogLook) -> Colour:
    """The darker colour of a brindle's stripes."""
    return blended(look.main, tinted(look.second, 0.8), 0.75)
