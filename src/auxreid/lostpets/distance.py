"""Distances on the earth, and how coarsely places are told."""

import numpy as np

EARTH_KM = 6371.0
DIGITS = 2  # of degrees: a kilometre, so that nobody's door is told


def kilometres(latitude: float, longitude: float, latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """float64 [n]: great-circle distances from a place to others, all in degrees; NaN where one is."""
    here, there = np.radians([latitude, longitude]), np.radians(np.stack([latitudes, longitudes], axis=-1))
    half = np.sin((there - here) / 2) ** 2
    share = half[..., 0] + np.cos(here[0]) * np.cos(there[..., 0]) * half[..., 1]
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(share, 0, 1)))


def coarse(degrees: float | None) -> float | None:
    """A coordinate as it may be shown."""
    return None if degrees is None else round(degrees, DIGITS)
