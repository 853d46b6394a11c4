"""Analytic femurs measured by the engine: predictions that are shifted, rotated, scaled or bent by known amounts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnunet_femur.comparison import compare
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.imaging.surface_mesh import Surface
from nnunet_femur.imaging.writing import write_volume
from nnunet_femur.testing.analytic_femur import AnalyticFemur
from nnunet_femur.testing.voxelising import grid_around, moved, rotation_xyz, voxelise

if TYPE_CHECKING:
    from pathlib import Path

SPACING_MM_XYZ = (2.0, 2.0, 3.0)
SCALE = 1.03
CUT_VOXELS = 40


def _masks() -> tuple[dict[str, np.ndarray], object]:
    """Masks by the name of the method, and their grid; that of "reference" is the reference."""
    # Condyles that reach less far below the knee centre than those of the default do: within the range of adults.
    femur = AnalyticFemur(distal_medial_mm=(25.0, 2.0, 26.0), distal_lateral_mm=(-25.0, 2.0, 30.0))
    surface = femur.surface(step_mm=2.0)
    grid = grid_around(surface, SPACING_MM_XYZ, margin_voxels=25, shift_voxels_xyz=(0.3, 0.4, 0.2))
    centre_mm = np.array([0.0, 0.0, 220.0])
    turn = rotation_xyz(6.0, 0.0, 0.0)
    surfaces = {
        "rotated": moved(surface, turn, centre_mm - turn @ centre_mm),
        "scaled": Surface(surface.points_mm * SCALE + centre_mm * (1 - SCALE), surface.triangles),
        "valgus": replace(femur, neck_shaft_angle_deg=femur.neck_shaft_angle_deg + 7.0).surface(step_mm=2.0),
    }
    reference = voxelise(surface, grid)
    headless = reference.copy()
    headless[np.flatnonzero(reference.any(axis=(1, 2)))[-1] + 1 - CUT_VOXELS :] = 0
    masks = {
        "reference": reference,
        "shifted": np.roll(reference, (2, -1, 3), axis=(0, 1, 2)),
        "headless": headless,
        **{name: voxelise(one, grid) for name, one in surfaces.items()},
    }
    return masks, grid


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """Errors of every method by measurement."""
    folder: Path = tmp_path_factory.mktemp("known")
    masks, grid = _masks()
    for name, mask in masks.items():
        (folder / name).mkdir()
        write_volume(image_of(mask, grid), folder / name / "L1.nrrd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnunet_femur.comparison.report.figures.draw_all", lambda *_, **__: ([], []))
        patch.delenv("nnUNet_raw", raising=False)
        comparison = compare(
            None,
            reference=folder / "reference",
            methods={name: folder / name for name in masks},
            output=folder / "report",
            measurements=True,
        )
    table = comparison.measurements
    return comparison, table.set_index(["method", "measurement"])


def _errors(errors, method):
    return errors[1].loc[method]["error"]


def test_the_reference_itself_has_no_error(errors):
    found = _errors(errors, "reference").dropna()
    assert len(found) > 40
    assert found.abs().max() < 1e-5


def test_a_shift_is_exactly_the_error_of_the_head_centre(errors):
    found = _errors(errors, "shifted")
    assert found["head_center_mm"] == pytest.approx(np.linalg.norm([6.0, 2.0, 6.0]), abs=1e-3)
    for name in ("neck_shaft_angle_deg", "version_neck_deg", "mldfa_deg", "length_longest_mm", "volume_ml"):
        assert found[name] == pytest.approx(0, abs=1e-3), name


def test_a_rotation_turns_the_axes_and_no_angle(errors):
    found = _errors(errors, "rotated")
    # The axes are nearly along z, 6 degrees about x turn them by almost 6 degrees.
    assert found["mechanical_axis_deg"] == pytest.approx(6, abs=0.15)
    assert found["shaft_axis_deg"] == pytest.approx(6, abs=0.15)
    assert abs(found["neck_shaft_angle_deg"]) < 0.7
    assert abs(found["volume_ml"]) < 3


def test_a_scaled_femur_is_longer_and_larger_by_known_factors(errors):
    found, values = _errors(errors, "scaled"), errors[1].loc["scaled"]["reference"]
    assert found["volume_ml"] / values["volume_ml"] == pytest.approx(SCALE**3 - 1, abs=0.003)
    assert found["length_longest_mm"] / values["length_longest_mm"] == pytest.approx(SCALE - 1, abs=0.003)
    assert found["head_radius_mm"] / values["head_radius_mm"] == pytest.approx(SCALE - 1, abs=0.01)
    assert abs(found["neck_shaft_angle_deg"]) < 0.7


def test_another_neck_shaft_angle_is_its_error(errors):
    found = _errors(errors, "valgus")
    assert found["neck_shaft_angle_deg"] == pytest.approx(7.0, abs=0.7)
    assert found["head_center_mm"] < 0.5
    assert abs(found["mldfa_deg"]) < 1.0


def test_a_headless_prediction_is_counted_and_does_not_win(errors):
    comparison, table = errors
    row = table.loc[("headless", "neck_shaft_angle_deg")]
    assert row["reference_missing"] == ""
    assert row["prediction_missing"]
    assert np.isnan(row["error"])
    (found,) = comparison.endpoints
    one = found.endpoints["neck_shaft_angle_deg"]
    assert "headless" not in one.complete
    places = {rank.entry: rank.place for rank in one.statistics.ranking.ranks}
    assert places["headless"] == max(places.values())
    assert "not-measurable" in {caution.code for caution in one.statistics.cautions}
