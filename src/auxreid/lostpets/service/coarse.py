"""Places as they are kept and shown: to about a kilometre."""

import math

DIGITS = 2  # of degrees of latitude: 1.1 km
KM_A_DEGREE = 111.2


def coarse(latitude: float, longitude: float) -> tuple[float, float]:
    """The middle of a square of about a kilometre, also far from the equator."""
    step = 10.0**-DIGITS
    rounded = round(round(latitude / step) * step, DIGITS)
    wider = step / max(math.cos(math.radians(rounded)), step)
    across = round(longitude / wider) * wider
    return rounded, round(max(-180.0, min(180.0, across)), 4)


def coarse_or_none(latitude: float | None, longitude: float | None) -> tuple[float, float] | tuple[None, None]:
    """Of a place that may not be known. Kept so, since small circles around an exact place would find the door."""
    return (None, None) if latitude is None or longitude is None else coarse(latitude, longitude)
