"""Surfaces of a batch: files by side, the table, reasons, and files of an earlier run."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import nnunet_femur as nf
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.measurement.surfaces.model_surfaces import QUALITY_COLUMNS
from nnunet_femur.measurement.surfaces.surface_files import (
    SURFACE_TABLE,
    SurfaceOptions,
    WrittenSurface,
    quality_table,
    surface_notes,
    write_quality,
    write_surfaces,
)
from tests.measurement.closed_meshes import ellipsoid
from tests.refusing import names, refused

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk

BALL, GRID = ellipsoid((12, 12, 20), (2, 2, 2))


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / SURFACE_TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _both() -> sitk.Image:
    """Label 1, left, and label 2, right, beside it."""
    mask = np.concatenate([2 * BALL, BALL], axis=2)
    geometry = type(GRID)((mask.shape[2], *GRID.size_xyz[1:]), GRID.spacing_mm_xyz, GRID.origin_mm_xyz, GRID.direction)
    return image_of(mask, geometry)


def test_measure_writes_a_surface_for_each_side(tmp_path: Path) -> None:
    measured = nf.measure(_both(), output=tmp_path, stl=True, ply=True, edge_mm=5)
    sides = [surface.side for surface in measured.surfaces]
    assert sides == [femur.side for femur in measured] == ["left", "right"]
    assert {path.name for path in tmp_path.iterdir()} >= {
        *("femur_left.stl", "femur_left.ply", "femur_right.stl", "femur_right.ply"),
        *(SURFACE_TABLE, "measurements.csv"),
    }
    rows = _rows(tmp_path)
    assert [(row["case"], row["side"], row["edge_mm"], row["error"]) for row in rows] == [
        ("femur", "left", "5", ""),
        ("femur", "right", "5", ""),
    ]
    for row, surface in zip(rows, measured.surfaces, strict=True):
        assert int(row["triangles"]) == surface.values["triangles"]
        assert float(row["smallest_angle_deg"]) == pytest.approx(surface.values["smallest_angle_deg"], rel=1e-4)
        assert (tmp_path / f"femur_{surface.side}.stl").stat().st_size == 84 + 50 * surface.values["triangles"]
        assert float(row["volume_ml"]) == pytest.approx(BALL.sum() * 0.008, rel=0.02)


def test_measure_writes_none_unless_asked(tmp_path: Path) -> None:
    assert nf.measure(_both(), output=tmp_path).surfaces == ()
    assert not list(tmp_path.glob("*.stl"))
    assert not (tmp_path / SURFACE_TABLE).exists()


def test_measure_needs_a_folder_and_an_edge_length(tmp_path: Path) -> None:
    for output in (None, tmp_path / "femurs.csv"):
        with refused("invalid-option", "stl"):
            nf.measure(_both(), output=output, stl=True)
    with refused("invalid-option", "10 mm"):
        nf.measure(_both(), output=tmp_path, stl=True, edge_mm=11)


def test_a_mask_without_a_surface_has_a_reason_and_no_old_file(tmp_path: Path) -> None:
    (tmp_path / "L1.stl").write_bytes(b"old")
    options = SurfaceOptions((".stl",), 3.0)
    empty = write_surfaces(np.zeros_like(BALL), GRID, tmp_path, "L1", case="L1", side="left", options=options)
    assert (empty.values, list(tmp_path.iterdir())) == ({}, [])
    fine = write_surfaces(
        BALL, GRID, tmp_path, "L2", case="L2", side="left", options=SurfaceOptions((".ply",), edge_mm=0.5)
    )
    assert names(fine.error, "1 mm", "0.5")
    assert surface_notes([empty, fine]) == [f"L1 left: no surface. {empty.error}", f"L2 left: no surface. {fine.error}"]
    write_quality([empty, fine], tmp_path / SURFACE_TABLE)
    assert [row["error"] for row in _rows(tmp_path)] == [empty.error, fine.error]
    assert {row["triangles"] for row in _rows(tmp_path)} == {""}


def test_the_table_of_the_terminal_has_a_row_for_each_column() -> None:
    surface = WrittenSurface("L1", "left", dict.fromkeys(QUALITY_COLUMNS, 1.5), ("far from the mask",))
    table = quality_table([surface, WrittenSurface("L2", "left", {}, error="empty")])
    assert table.row_count == len(QUALITY_COLUMNS)
    assert len(table.columns) == 3
    assert surface_notes([surface]) == ["L1 left: far from the mask"]
    assert surface_notes([replace(surface, side="unknown")]) == ["L1: far from the mask"]
