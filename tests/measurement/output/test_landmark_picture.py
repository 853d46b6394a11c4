"""Pictures of femurs: made without a display, readable, and of every part of a bone."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.kinds import finding
from nnunet_femur.measurement.landmarks import Anatomy
from nnunet_femur.measurement.output.femur_views import anatomical_views
from nnunet_femur.measurement.output.landmark_picture import draw_femur, femur_figure
from nnunet_femur.measurement.output.view_drawing import ViewDrawing
from nnunet_femur.measurement.quantities import QUANTITIES
from nnunet_femur.testing.voxelising import rotation_xyz
from tests.measurement.known_femur import HEAD, KNEE, MIRROR, VALUES, anatomy, measurements, surface

SIZE = (1430, 1040)
EMPTY = Surface(np.empty((0, 3)), np.empty((0, 3), np.int64))
ALL_VALUES = {key: VALUES.get(key, 123.4) for key, quantity in QUANTITIES.items() if not quantity.is_vector}
PARTS = ("head", "neck", "proximal_shaft", "shaft", "distal", "medial", "posterior", "lesser_trochanter_mm")
WORN_OUT = finding("side-contradiction", "R1.nrrd", "is left by its shape, " + "but right by its id. " * 9)

BONES: dict[str, dict[str, Any]] = {
    "right": {},
    "left": {"anatomy": anatomy(MIRROR), "side": "left"},
    "turned": {"anatomy": anatomy(rotation_xyz(80, 15, 200))},
    "measured": {"values": ALL_VALUES, "missing": {}},
    "long name": {"case": "a_very_long_name_of_a_case_with_date_2026_11_25_and_$odd$_letters"},
    "warned": {"findings": (WORN_OUT,)},
    "proximal": {"anatomy": anatomy(distal=None, posterior=None, shaft=None)},
    "headless": {"anatomy": anatomy(head=None, neck=None, medial=None, proximal_shaft=None)},
    "unknown": {"anatomy": Anatomy(surface()), "side": "unknown", "side_source": ""},
}


def _texts(femur: Any) -> dict[str, np.ndarray]:
    """Left, lower, right and upper edge of every text in the picture, in pixels."""
    figure = femur_figure(femur)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [*figure.texts, *itertools.chain.from_iterable(axes.texts for axes in figure.axes)]
    renderer = canvas.get_renderer()
    return {
        f"{number} {text.get_text()}": Text.get_window_extent(text, renderer).extents
        for number, text in enumerate(texts)
        if text.get_text()
    }


@pytest.fixture
def without_bone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are placed in the same way without the surface, which takes most of the time."""
    monkeypatch.setattr(ViewDrawing, "bone", lambda *_: None)


@pytest.mark.usefixtures("without_bone")
@pytest.mark.parametrize(("side", "at_left"), [("left", "medial"), ("right", "lateral")])
def test_a_stated_side_determines_the_front_of_a_bone_without_condyles(side: str, at_left: str) -> None:
    of = anatomy(distal=None, posterior=None, shaft=None, side="unknown")
    front = femur_figure(measurements(anatomy=of, side=side, side_source="label")).axes[0]
    edges = {text.get_ha(): text.get_text() for text in front.texts if text.get_text() in {"medial", "lateral"}}
    assert edges["left"] == at_left


@pytest.mark.usefixtures("without_bone")
@pytest.mark.parametrize("changes", BONES.values(), ids=BONES)
def test_texts_do_not_overlap_and_are_inside(changes: dict[str, Any]) -> None:
    boxes = _texts(measurements(**changes))
    assert len(boxes) > 20
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        apart = a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]
        assert apart, (one, other)
    width, height = SIZE
    for text, (left, low, right, high) in boxes.items():
        assert 0 <= left < right <= width, text
        assert 0 <= low < high <= height, text


@pytest.mark.usefixtures("without_bone")
@pytest.mark.parametrize("changes", BONES.values(), ids=BONES)
def test_labels_are_beside_the_bone(changes: dict[str, Any]) -> None:
    femur = measurements(**changes)
    assert femur.anatomy is not None
    figure = femur_figure(femur)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes, named in zip(figure.axes, anatomical_views(femur.anatomy), strict=True):
        bone = axes.transData.transform(named.view.project(femur.anatomy.surface.points_mm))
        for text in axes.texts:
            box = Text.get_window_extent(text, canvas.get_renderer())
            covered = (bone > [box.x0, box.y0]).all(axis=1) & (bone < [box.x1, box.y1]).all(axis=1)
            assert not covered.any(), text.get_text()


@pytest.mark.usefixtures("without_bone")
@pytest.mark.parametrize("missing", PARTS)
def test_any_landmark_may_be_missing(missing: str) -> None:
    assert draw_femur(measurements(anatomy=anatomy(**{missing: None}))).startswith(b"\x89PNG")


@pytest.mark.usefixtures("without_bone")
def test_shows_the_values_and_the_name() -> None:
    words = " ".join(_texts(measurements()))
    for text in ("R1", "right femur", "48.0", "125.0", "12.0", "87.5", "451.2", "512"):
        assert text in words


def test_the_bone_is_where_its_landmarks_are() -> None:
    """The head's centre is a dot, a point above it in the head is bone, and a point beyond its radius is paper."""
    femur = measurements()
    figure, pixels = femur_figure(femur), np.asarray(Image.open(io.BytesIO(draw_femur(femur))).convert("RGB"))
    assert pixels.shape == (SIZE[1], SIZE[0], 3)
    up = (HEAD - KNEE) / np.linalg.norm(HEAD - KNEE)
    for axes, named in zip(figure.axes, anatomical_views(anatomy()), strict=True):

        def brightness(offset_radii: float, axes=axes, view=named.view) -> int:
            place = view.project(HEAD) + offset_radii * 24 * np.array([0.3, 0.95])
            x, y = axes.transData.transform(place)
            return int(pixels[SIZE[1] - 1 - round(float(y)), round(float(x))].min())

        assert brightness(0) < 60
        assert 60 < brightness(0.7) < 250
        if named.view.up @ up > 0.9:
            assert brightness(1.3) == 255


def test_is_the_same_in_every_run_and_takes_less_than_three_seconds() -> None:
    first = draw_femur(measurements())
    start = time.process_time()
    assert draw_femur(measurements()) == first
    assert time.process_time() - start < 3


def test_needs_no_display() -> None:
    code = (
        "from tests.measurement.known_femur import measurements\n"
        "from nnunet_femur.measurement.output.landmark_picture import draw_femur\n"
        "print(len(draw_femur(measurements())))\n"
    )
    quiet = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    quiet["MPLBACKEND"] = "TkAgg"
    done = subprocess.run([sys.executable, "-c", code], env=quiet, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 10_000


@pytest.mark.parametrize("of", [None, Anatomy(EMPTY)])
def test_no_bone_has_no_picture(of: Anatomy | None) -> None:
    with pytest.raises(ValueError, match="surface"):
        draw_femur(measurements(anatomy=of))
