"""Russian inflection: all forms of an adjective from its masculine nominative, and stems with their endings."""

VELARS, SIBILANTS = "кгх", "жшщч"
HARD = ["ый", "ой", "ого", "ому", "ым", "ом", "ая", "ую", "ою", "ое", "ые", "ых", "ыми"]
VELAR = ["ий", "ой", "ого", "ому", "им", "ом", "ая", "ую", "ою", "ое", "ие", "их", "ими"]
SOFT = ["ий", "его", "ему", "им", "ем", "ее", "ие", "их", "ими"]  # and of the feminine, which differs
SOFT_FEMININE, SIBILANT_FEMININE = ["яя", "юю", "ей", "ею"], ["ая", "ую", "ей", "ею"]
STRESSED_SIBILANT = ["ой", "ого", "ому", "им", "ом", "ая", "ую", "ою", "ое", "ие", "их", "ими"]
REFLEXIVE = "ся"


def adjective(lemma: str) -> list[str]:
    """All genders, numbers and cases, and the short forms where there are any.

    Args:
        lemma: masculine nominative ("белый", "стоячий", "вьющийся"); behind a slash, a short form that has a vowel more
            than the stem ("короткий/короток").
    Raises:
        ValueError: it does not end as an adjective does.
    """
    lemma, _, short = lemma.partition("/")
    if lemma.endswith("ий" + REFLEXIVE):
        return [form + REFLEXIVE for form in adjective(lemma.removesuffix(REFLEXIVE))]
    stem, ending = lemma[:-2], lemma[-2:]
    if ending not in ("ый", "ий", "ой") or not stem:
        raise ValueError(f"{lemma!r} ends as no adjective does: -ый, -ий, -ой, -ийся")
    forms = [lemma, *(stem + one for one in _endings(stem, ending))]
    if ending != "ий" or stem[-1] in VELARS:
        plural = "и" if stem[-1] in VELARS + SIBILANTS else "ы"
        forms += [short or stem, *(stem + one for one in ("а", "о", plural))]
    return list(dict.fromkeys(forms))


def _endings(stem: str, ending: str) -> list[str]:
    if stem[-1] in SIBILANTS:
        return STRESSED_SIBILANT if ending == "ой" else SOFT + SIBILANT_FEMININE
    if stem[-1] in VELARS:
        return VELAR
    return SOFT + SOFT_FEMININE if ending == "ий" else HARD


def with_endings(form: str) -> list[str]:
    """ "ух|о а у" -> ухо, уха, уху; "-" is no ending; without a stroke, the form itself."""
    stem, stroke, endings = form.partition("|")
    return [stem + ending.replace("-", "") for ending in endings.split()] if stroke else [form]
