"""Attribute vocabularies: which attributes people and dogs have, and the words each may take."""

from collections.abc import Mapping

NO_YES = ("no", "yes")

PERSON_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "gender": ("male", "female"),
    "hair": ("short", "long"),
    "up": ("long", "short"),  # length of the sleeve
    "down": ("long", "short"),  # length of the lower clothing
    "clothes": ("dress", "pants"),
    "hat": NO_YES,
    "backpack": NO_YES,
    "bag": NO_YES,
    "handbag": NO_YES,
    "age": ("young", "teenager", "adult", "old"),
    **{f"up{c}": NO_YES for c in ("black", "white", "red", "purple", "yellow", "gray", "blue", "green")},
    **{f"down{c}": NO_YES for c in ("black", "white", "pink", "purple", "yellow", "gray", "blue", "green", "brown")},
}
"""Market-1501's 27 columns, in the order of the words' codes: code 1 in market_attribute.mat is the first word."""

DOG_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "color": ("black", "white", "brown", "red_golden", "grey", "black_and_tan", "brindle_fawn", "multicolor"),
    "size": ("small", "medium", "large"),
    "leg_length": ("short", "medium", "long"),
    "muzzle": ("short", "medium", "long"),
    "ears": ("erect", "semi_erect", "drop"),
    "coat": ("short", "medium", "long", "wire", "curly"),
}

SPLITS = ("train", "val", "query", "gallery", "test", "none")
"""`test` marks held-out images without a known identity: attributes are scored on them, re-identification is not."""

Vocabulary = Mapping[str, tuple[str, ...]]
