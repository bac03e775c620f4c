"""Why a phrase was taken as it was, in the language of the description."""

import re

CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
NOTES = {
    "unknown": ("not understood", "не понято"),
    "no attribute": ("not an attribute that is known", "такого признака нет"),
    "colour of a part": (
        "the colour of a part is not the animal's: not used",
        "цвет части тела, а не окрас: не учтено",
    ),
    "no part": ("not said of which part", "не сказано, о какой части тела"),
    "no word": ("not a word that is known of this part", "такого значения у этой части тела нет"),
    "nothing said": ("nothing that is known is said of it", "ничего известного о ней не сказано"),
    "one of two": ("of one of the two alone: not used", "только об одном из двух: не учтено"),
    "doubt": ("said with doubt", "сказано с сомнением"),
    "inexact": ("not exact enough to exclude {}: not used", "слишком неточно, чтобы исключить {}: не учтено"),
    "markings": ("markings: one colour or several", "отметины: один цвет или несколько"),
    "markings of a part": ("markings of a part: not used", "отметины на части тела: не учтено"),
    "slip": ("taken as {}", "понято как {}"),
    "breed": ("breeds are not used", "породы не учитываются"),
    "sex or age": ("sex and age are not used", "пол и возраст не учитываются"),
    "loss": ("tells nothing of the looks", "не говорит о внешности"),
    "build": ("not an attribute that is known", "такого признака нет"),
    "length": ("a length, not said to be the height: not used", "длина, но не сказано, что это рост: не учтено"),
    "measure": ("weight and height are not used", "вес и рост не учитываются"),
    "bounds": ("up to {0} {2} {3}, up to {1} {2} {4}, else {5}", "до {0} {2} {3}, до {1} {2} {4}, больше {5}"),
    "contradiction": ("{} and {} exclude each other: not used", "{} и {} исключают друг друга: не учтено"),
    "denied": ("{} is said, and denied: not used", "{} и сказано, и отрицается: не учтено"),
    "all denied": ("every word is denied: not used", "отрицаются все значения: не учтено"),
}


class Notes:
    """The notes in Russian where the description has Russian letters, else in English."""

    def __init__(self, text: str) -> None:
        self.russian = CYRILLIC.search(text) is not None

    def __call__(self, key: str, *values: object) -> str:
        return NOTES[key][self.russian].format(*values)

    def quote(self, text: str) -> str:
        """In the language's quotation marks."""
        return f"«{text}»" if self.russian else f"“{text}”"
