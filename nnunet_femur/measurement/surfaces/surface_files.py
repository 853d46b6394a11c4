"""Surfaces for models as files of a batch: STL or PLY of each femur, and the table of their quality."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import cannot_write, write_text
from nnunet_femur.errors import FemurError
from nnunet_femur.imaging.sides import UNKNOWN
from nnunet_femur.measurement.surfaces.model_surfaces import (
    EDGE_MM,
    QUALITY_COLUMNS,
    model_surface,
    write_model_surface,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from rich.table import Table

    from nnunet_femur.imaging.geometry import Geometry

SURFACE_TABLE = "surface_quality.csv"
"""Name of the table in the output folder."""

SURFACE_ENDINGS = (".stl", ".ply")


@dataclass(frozen=True)
class SurfaceOptions:
    """Surfaces that a batch writes.

    Attributes:
        endings: Formats: ".stl", ".ply", or both; empty to write none.
        edge_mm: Stated edge length in mm.
    """

    endings: tuple[str, ...] = ()
    edge_mm: float = EDGE_MM


@dataclass(frozen=True)
class WrittenSurface:
    """Surface of one femur of a batch.

    Attributes:
        case: Name of the mask.
        side: "left", "right" or "unknown".
        values: Its quality by the keys of :data:`~nnunet_femur.measurement.surfaces.model_surfaces.QUALITY_COLUMNS`.
        problems: Doubts about it.
        error: Reason why no surface was made; empty if one was.
    """

    case: str
    side: str
    values: dict[str, float]
    problems: tuple[str, ...] = ()
    error: str = ""


def write_surfaces(
    mask_zyx: NDArray, geometry: Geometry, folder: Path, name: str, *, case: str, side: str, options: SurfaceOptions
) -> WrittenSurface:
    """Write the surface of one femur as ``NAME.stl`` and ``NAME.ply``; files of an earlier run are replaced or removed.

    Args:
        mask_zyx: The mask of the femur.
        geometry: Geometry of the mask.
        folder: The folder, which must exist.
        name: Name of the files without their endings.
        case: Name of the mask.
        side: Side of the femur.
        options: Formats and edge length.

    Raises:
        SetupError: A file cannot be written (code "cannot-write").
    """
    paths = [folder / f"{name}{ending}" for ending in options.endings]
    try:
        model = model_surface(mask_zyx, geometry, edge_mm=options.edge_mm)
    except FemurError as error:
        for path in paths:
            path.unlink(missing_ok=True)
        return WrittenSurface(case, side, {}, error=str(error))
    for path in paths:
        write_model_surface(model, path)
    return WrittenSurface(case, side, model.row(), model.problems)


def write_quality(surfaces: Sequence[WrittenSurface], path: Path) -> None:
    """Write the table of all surfaces, with a row per femur.

    Args:
        surfaces: The surfaces.
        path: The file.

    Raises:
        SetupError: The file cannot be written (code "cannot-write").
    """
    rows: list[dict[str, object]] = []
    for each in surfaces:
        values = {key: each.values.get(key, "") for key in QUALITY_COLUMNS}
        numbers = {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in values.items()}
        rows.append(
            {"case": each.case, "side": each.side, **numbers, "problems": "; ".join(each.problems), "error": each.error}
        )
    columns = ["case", "side", *QUALITY_COLUMNS, "problems", "error"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        path.parent.mkdir(exist_ok=True)
        write_text(path, text.getvalue())
    except OSError as error:
        raise cannot_write(path, error) from error


def quality_table(surfaces: Sequence[WrittenSurface]) -> Table:
    """Return the quality of all surfaces for the terminal, with a column for each femur."""
    from rich.table import Table

    made = [each for each in surfaces if each.values]
    table = Table(box=None, pad_edge=False)
    table.add_column("surface")
    for each in made:
        side = "" if each.side == UNKNOWN else each.side
        table.add_column(f"{each.case}\n{side}".rstrip(), justify="right")
    table.add_column("\nunit")
    for key, (label, unit) in QUALITY_COLUMNS.items():
        values = [each.values[key] for each in made]
        texts = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in values]
        table.add_row(label, *texts, unit)
    return table


def surface_notes(surfaces: Sequence[WrittenSurface]) -> list[str]:
    """Return a line for each problem, and for each femur without a surface."""
    notes = []
    for each in surfaces:
        name = each.case if each.side == UNKNOWN else f"{each.case} {each.side}"
        notes += [f"{name}: {problem}" for problem in each.problems]
        if each.error:
            notes.append(f"{name}: no surface. {each.error}")
    return notes
