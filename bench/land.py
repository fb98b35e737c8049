"""A coarse drawing of the continents as a grid of dots: enough to see where a region is.

Drawn by hand, a few corners per coast; no map to navigate by.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

Outline = tuple[tuple[float, float], ...]

_COASTS: Final = (
    # North America and its islands
    "-168 66 -160 71 -140 70 -125 70 -110 68 -95 69 -85 68 -82 64 -94 59 -88 56 -80 52 -78 56 -78 62 "
    "-70 60 -64 58 -56 52 -60 47 -66 44 -70 42 -74 40 -76 35 -81 31 -80 26 -82 29 -90 30 -97 27 -97 21 "
    "-94 18 -90 21 -87 21 -88 16 -83 15 -83 10 -79 9 -82 8 -86 12 -92 14 -96 16 -105 20 -109 25 -113 31 "
    "-117 33 -121 35 -124 40 -124 48 -130 54 -136 59 -148 60 -158 56 -162 58 -165 62",
    "-82 73 -70 70 -62 66 -68 63 -75 65 -85 70",
    "-117 73 -105 73 -102 69 -115 69",
    "-90 82 -65 82 -78 76 -90 77",
    "-70 78 -55 82 -30 83 -18 80 -20 73 -25 70 -40 65 -44 60 -50 62 -53 68 -58 75",
    "-85 22 -80 23.5 -74 20.5 -78 20",
    "-74 19.8 -69 19.8 -68.5 18 -74 18",
    # South America
    "-79 9 -72 12 -62 10.5 -52 5 -50 0 -44 -2.5 -35 -6 -37 -12 -39 -18 -42 -23 -48 -26 -53 -33 -58 -38 "
    "-62 -39 -65 -43 -66 -48 -69 -52 -68 -55 -74 -52 -75 -46 -73 -37 -71 -28 -70 -18 -76 -14 -81 -6 -80 "
    "-2 -78 3",
    # Africa and Madagascar
    "-6 36 10 37 11 33 20 31 25 32 32 31 34 27 37 20 43 12 51 12 46 3 40 -4 40 -12 35 -20 33 -27 27 -34 "
    "18 -34 15 -26 12 -17 13 -8 9 0 9 4 4 6 -8 5 -13 8 -17 14 -16 21 -13 28 -9 32",
    "49 -12 50 -16 47 -25 44 -23 44 -17",
    # Europe and Asia
    "-9 37 -9 43 -1 44 -4 48 2 51 8 54 8 57 11 56 10 54 14 54 20 55 24 58 28 60 22 60 21 63 25 66 21 65 "
    "17 61 18 58 13 55.5 11 59 5 59 5 62 12 66 18 70 28 71 40 67 35 64 44 66 45 68 60 69 68 73 80 73 "
    "100 77 113 74 130 71 140 72.5 160 70 180 69 180 65 170 60 163 58 157 51 156 57 162 62 155 59 142 "
    "59 135 54 141 52 140 47 132 43 128 39 129 35.5 126 35 125 39 121 40 118 38 122 37 119 35 122 30 "
    "118 24 110 20 106 20 109 13 105 9 100 13 103 2 100 7 98 10 98 16 94 17 91 22 87 21 80 15 80 11 77 "
    "8 73 17 72 21 67 25 57 26 50 30 48 29 51 25 56 25 60 22 52 16 44 13 39 21 35 28 35 32 36 36 30 36 "
    "27 38 27 41 29 41 38 41 41 42 38 45 33 46 29 45 28 42 24 40 23 37 20 40 19 42 13 45.5 14 42 18 40 "
    "16 38 12 42 8 44 3 43 0 40 -2 37 -5 36",
    "-5 50 1 51 0 53 -2 56 -4 58.5 -6 57 -3 54 -5 52",
    "-10 52 -6 52 -6 55 -9 54.5",
    "-24 65.5 -18 66.5 -14 65 -19 63.4",
    "12 79 25 80 17 77",
    "52 71 68 76.5 56 72",
    "130 32 132 33 136 34 140 35.5 142 40 145 43.5 142 45.5 140 42 139 38 133 35.5",
    "80 9 82 7 80.5 6",
    # South-east Asia, Australia and New Zealand
    "95 5.5 104 -2 106 -6 101 -3",
    "106 -6 114 -7 114 -8.5 106 -7.5",
    "109 1 117 7 119 5 116 -4 110 -3",
    "120 1 125 1.5 122 -1 122 -5 120 -5 119 -2",
    "131 -1 141 -2.5 150 -10 143 -8.5 138 -8 133 -4",
    "120 18 122 18 126 7 122 7 121 14",
    "114 -22 122 -18 130 -12 136 -12 136 -15 140 -17.5 142 -11 146 -19 153 -25 153 -31 150 -37 144 "
    "-38.5 138 -35 131 -31.5 124 -33 116 -35 114 -29",
    "145 -41 148 -41 147 -43.5",
    "173 -35 178 -38 175 -41.5 174 -39",
    "173 -41 174 -42 169 -46.5 167 -46 171 -42.5",
)
"""Corners of each coast as longitude and latitude (degrees)."""


@cache
def _outlines() -> tuple[Outline, ...]:
    found = []
    for coast in _COASTS:
        values = [float(value) for value in coast.split()]
        found.append(tuple(zip(values[::2], values[1::2], strict=True)))
    return tuple(found)


def is_land(longitude: float, latitude: float) -> bool:
    """Whether a point lies inside one of the coasts."""
    return any(_inside(outline, longitude, latitude) for outline in _outlines())


def _inside(outline: Outline, x: float, y: float) -> bool:
    inside = False
    x1, y1 = outline[-1]
    for x2, y2 in outline:
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
        x1, y1 = x2, y2
    return inside


def dots(west: float, east: float, south: float, north: float, step: float) -> Iterator[tuple[float, float]]:
    """The points of a grid on land, as longitude and latitude; every other row is set off by half."""
    row = 0
    latitude = north - step / 2
    while latitude > south:
        longitude = west + (step / 2 if row % 2 else step)
        while longitude < east:
            if is_land(longitude, latitude):
                yield longitude, latitude
            longitude += step
        latitude -= step
        row += 1
