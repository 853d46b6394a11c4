"""Contours of a mask in a plane, just within the edges of its pixels, and the pixels inside contours.

Programs fill contours in two ways. Most of them take the pixels whose centres are inside. Some, such as rt-utils, round
the points to centres, and take the contour itself, too. Both give exactly the pixels of the mask here, since the points
are almost half a pixel away from the centres. A contour through the outermost centres would be right for the second way
only.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

INSET = 1 / 128
"""Distance of a contour from the edges of the pixels, in pixels."""

Corner = tuple[int, int]
"""Corner of pixels, x and y: the corner (x, y) is the first corner of the pixel (x, y)."""


def contours_of(mask_yx: NDArray) -> list[NDArray[np.float64]]:
    """Return the contours of a mask in one plane, :data:`INSET` within the edges of its pixels.

    There is one contour for each set of pixels that are connected by their edges. A cavity is part of the contour
    around it: a narrow channel, which DICOM calls a keyhole, leads to the cavity and back. Contours neither touch nor
    cross themselves or each other.

    Args:
        mask_yx: The mask, y, x; not 0 inside.

    Returns:
        Points of each contour as x, y, shape (n, 2), in pixels: whole numbers are centres. Only corners are points, and
        the first one is not repeated at the end.

    Example:
        >>> [each.round(1).tolist() for each in contours_of(np.array([[0, 1, 1]]))]
        [[[0.5, -0.5], [2.5, -0.5], [2.5, 0.5], [0.5, 0.5]]]
    """
    outer: list[list[Corner]] = []
    cavities: list[list[Corner]] = []
    for loop in _loops(np.asarray(mask_yx) != 0):
        (outer if _twice_area(loop) > 0 else cavities).append(loop)
    return [_within_edges(_corners_only(loop)) for loop in _with_keyholes(outer, cavities)]


def pixels_inside(contours: Sequence[NDArray], shape_yx: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels whose centres are inside contours by the even-odd rule.

    A contour inside another one is a cavity. A centre on a contour is inside if the contour is at its left or above.

    Args:
        contours: Points of each contour as x, y, shape (n, 2), in pixels: whole numbers are centres.
        shape_yx: Shape of the mask.

    Example:
        >>> pixels_inside([np.array([[0.5, -0.5], [2.5, -0.5], [2.5, 0.5], [0.5, 0.5]])], (2, 4)).astype(int)
        array([[0, 1, 1, 0],
               [0, 0, 0, 0]])
    """
    height, width = shape_yx
    crossings = np.zeros((height, width + 1), np.uint32)
    for contour in contours:
        starts, ends = np.asarray(contour, np.float64), np.roll(contour, -1, axis=0)
        upwards = starts[:, 1] > ends[:, 1]
        top, bottom = np.where(upwards[:, None], ends, starts), np.where(upwards[:, None], starts, ends)
        first = np.clip(np.ceil(top[:, 1]), 0, height).astype(int)
        counts = np.clip(np.ceil(bottom[:, 1]), 0, height).astype(int) - first
        edge = np.repeat(np.arange(len(counts)), counts)
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        part = (rows - top[edge, 1]) / (bottom[edge, 1] - top[edge, 1])
        at = top[edge, 0] + part * (bottom[edge, 0] - top[edge, 0])
        np.add.at(crossings, (rows, np.clip(np.ceil(at), 0, width).astype(int)), 1)
    return np.cumsum(crossings, axis=1)[:, :width] % 2 == 1


def pixels_on(contours: Sequence[NDArray], shape_yx: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels on contours, whose points are pixels and whose lines are horizontal, vertical or diagonal.

    Args:
        contours: As in :func:`pixels_inside`.
        shape_yx: Shape of the mask.

    Example:
        >>> pixels_on([np.array([[0, 0], [2, 0], [2, 2], [0, 2]])], (3, 4)).astype(int)
        array([[1, 1, 1, 0],
               [1, 0, 1, 0],
               [1, 1, 1, 0]])
    """
    on = np.zeros(shape_yx, bool)
    for contour in contours:
        starts = np.asarray(contour, np.float64)
        ways = np.roll(starts, -1, axis=0) - starts
        steps = np.maximum(np.rint(np.abs(ways).max(axis=1)).astype(int), 1)
        edge = np.repeat(np.arange(len(steps)), steps)
        part = (np.arange(len(edge)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[edge]
        x, y = np.rint(starts[edge] + part[:, np.newaxis] * ways[edge]).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < shape_yx[1]) & (y < shape_yx[0])
        on[y[inside], x[inside]] = True
    return on


def _loops(mask_yx: NDArray[np.bool_]) -> list[list[Corner]]:
    """Return the closed ways along the edges of pixels, corner by corner, with the mask at the right hand.

    y points down, so a way around pixels has a positive area, and one around a cavity a negative area.
    """
    padded = np.pad(mask_yx, 1).astype(np.int8)
    across, down = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    ways: dict[Corner, list[Corner]] = defaultdict(list)
    # Above a pixel of the mask the way leads along x, below it back; at its right side down, at its left side up.
    for y, x in np.argwhere(across == 1).tolist():
        ways[x, y].append((x + 1, y))
    for y, x in np.argwhere(across == -1).tolist():
        ways[x + 1, y].append((x, y))
    for y, x in np.argwhere(down == -1).tolist():
        ways[x, y].append((x, y + 1))
    for y, x in np.argwhere(down == 1).tolist():
        ways[x, y + 1].append((x, y))
    loops = []
    # The first corner of a loop, by y and then by x, is never one at which pixels touch.
    for start in sorted(ways, key=lambda corner: corner[::-1]):
        if not ways[start]:
            continue
        loop, corner = [start], ways[start].pop()
        while corner != start:
            onward = ways[corner]
            # Pixels that touch at a corner only are not connected, so the way turns right there.
            chosen = onward[0] if len(onward) == 1 else _right_turn(loop[-1], corner)
            onward.remove(chosen)
            loop.append(corner)
            corner = chosen
        loops.append(loop)
    return loops


def _right_turn(before: Corner, corner: Corner) -> Corner:
    """Return the next corner after a turn to the right; y points down."""
    along_x, along_y = corner[0] - before[0], corner[1] - before[1]
    return corner[0] - along_y, corner[1] + along_x


def _twice_area(loop: Sequence[Corner]) -> int:
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise([*loop, loop[0]]))


def _with_keyholes(outer: list[list[Corner]], cavities: list[list[Corner]]) -> list[list[Corner]]:
    """Add each cavity to the contour around it, by a channel from its first corner upwards to the next contour."""
    if not cavities:
        return outer
    corners = {corner for loop in (*outer, *cavities) for corner in loop}
    begins: dict[Corner, tuple[list[Corner], list[Corner]]] = {}
    for cavity in cavities:
        x, y = cavity[0]
        channel = []
        while (x, y - 1) not in corners:
            y -= 1
            channel.append((x, y))
        begins[x, y - 1] = (channel, cavity)
    return [_joined(loop, begins) for loop in outer]


def _joined(loop: list[Corner], begins: dict[Corner, tuple[list[Corner], list[Corner]]]) -> list[Corner]:
    """Return a loop with the cavities whose channels begin at its corners, and with those of these cavities."""
    joined: list[Corner] = []
    left = [iter(loop)]
    while left:
        corner = next(left[-1], None)
        if corner is None:
            left.pop()
            continue
        joined.append(corner)
        # Pixels that touch at a corner make a loop pass it twice; the channel begins at the first time.
        if corner in begins:
            channel, cavity = begins.pop(corner)
            joined.extend(channel[::-1])
            left += [iter([cavity[0], *channel, corner]), iter(cavity)]
    return joined


def _corners_only(loop: Sequence[Corner]) -> list[Corner]:
    """Leave out the points of straight lines."""
    around = zip((loop[-1], *loop[:-1]), loop, (*loop[1:], loop[0]), strict=True)
    return [here for before, here, after in around if _step(before, here) != _step(here, after)]


def _within_edges(corners: Sequence[Corner]) -> NDArray[np.float64]:
    """Return the points of a loop, moved into the mask, which is at its right hand."""
    points = np.array(corners, np.float64)
    ahead = np.sign(np.roll(points, -1, axis=0) - points)
    inwards = np.column_stack([-ahead[:, 1], ahead[:, 0]])
    return points - 0.5 + INSET * (inwards + np.roll(inwards, 1, axis=0))


def _step(one: Corner, other: Corner) -> Corner:
    return other[0] - one[0], other[1] - one[1]
