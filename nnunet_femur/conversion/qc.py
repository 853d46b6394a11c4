"""Pictures of a converted dataset: each case in three planes with its mask, one sheet of all, and a page to read.

They are drawn from the dataset as it stands on disk, so they show what nnU-Net will see, and lie in its folder ``qc``,
which nnU-Net does not read: ``contact_sheet.png``, ``index.html`` and ``cases/CASE.png``.
"""

from __future__ import annotations

import hashlib
import io
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnunet_femur.atomic_files import write_text, written_beside
from nnunet_femur.conversion.record import RECORD_FILE, read_record
from nnunet_femur.conversion.staging import QC_FOLDER
from nnunet_femur.errors import InputError
from nnunet_femur.findings import Severity
from nnunet_femur.imaging.files import read_volume
from nnunet_femur.imaging.geometry import oriented
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from nnunet_femur.conversion.record import CaseRecord

BONE_WINDOW_HU = (-250, 1250)
"""What is drawn black and what white."""

CONTOUR_COLOUR = "#E69F00"
"""Okabe & Ito's orange, which stands out from grey for every kind of colour vision."""

MARGIN_MM = 25.0
"""What is shown around the mask."""

SHEET_CASES = 40
"""Cases on one sheet; more cases get more sheets."""

_SEVERITY_COLOURS = {Severity.ERROR: "#D55E00", Severity.WARNING: "#B35900", Severity.NOTE: "#444444"}
_CELL_PIXELS = (480, 430)
_DPI = 100
_CAPTION_LINES, _CAPTION_LETTERS = 5, 88
_TEMPLATES = Path(__file__).parent / "templates"


class Plane(NamedTuple):
    """One plane of a volume, as it is shown: row 0 above.

    Attributes:
        name: Its name.
        image: HU.
        mask: Femur or not.
        pixel_mm: Height and width of a pixel.
        edges: Where in the patient the left, right, upper and lower edge lie.
    """

    name: str
    image: NDArray[np.int16]
    mask: NDArray[np.bool_]
    pixel_mm: tuple[float, float]
    edges: tuple[str, str, str, str]


@dataclass(frozen=True)
class _Picture:
    """What a process needs to draw one case."""

    folder: Path
    record: CaseRecord
    heading: str


def draw_dataset(folder: Path, *, jobs: int = 1, progress: Progress = SILENT) -> Path:
    """Draw a converted dataset, unless its pictures are up to date.

    Args:
        folder: The dataset's folder.
        jobs: Number of processes.
        progress: Receives the progress.

    Returns:
        The page ``qc/index.html``.

    Raises:
        InputError: It is no dataset of this package, or a volume in it cannot be read.
    """
    record = read_record(folder)
    if record is None:
        msg = f"{folder}: holds no {RECORD_FILE} of this package. Make the dataset with nnfemur convert."
        raise InputError(msg)
    qc = folder / QC_FOLDER
    page = qc / "index.html"
    sheets = _sheet_names(len(record.cases))
    wanted = [page, *(qc / name for name in sheets), *(qc / _picture_name(case.case) for case in record.cases)]
    state = _state(folder)
    if all(path.is_file() for path in wanted) and state in page.read_text(encoding="utf-8"):
        return page

    (qc / "cases").mkdir(parents=True, exist_ok=True)
    rows = _rows(folder)
    pictures = [_Picture(folder, case, _heading(case, rows[case.case])) for case in record.cases]
    drawn = dict(track(each(_draw, pictures, jobs=jobs, crashed=_blank), "Drawing", len(pictures), progress=progress))
    for number, name in enumerate(sheets):
        cells = [drawn[i] for i in range(number * SHEET_CASES, min(len(drawn), (number + 1) * SHEET_CASES))]
        _write_png(qc / name, _tiled(cells))
    for path in [*qc.glob("contact_sheet*.png"), *(qc / "cases").glob("*.png")]:
        if path not in wanted:
            path.unlink()
    write_text(page, _page(folder, record.cases, rows, sheets, state), durable=False)
    return page


def planes(image_zyx: NDArray[np.int16], mask_zyx: NDArray, spacing_mm_xyz: Sequence[float]) -> list[Plane]:
    """The axial, coronal and sagittal plane in which the mask is largest, cut to the mask and its surroundings.

    Seen as radiologists do: axial from the feet, coronal from the front, the patient's right on the left of both;
    sagittal with the front on the left.

    Args:
        image_zyx: HU in RAS order: x leads to the right, y to the front, z to the head.
        mask_zyx: The femur, above 0, on the same grid; where it is empty, the middle is shown.
        spacing_mm_xyz: Distance of voxels in mm.
    """
    femur = mask_zyx > 0
    spacing_zyx = tuple(spacing_mm_xyz)[::-1]
    shown, middle = [], []
    for axis in range(3):
        area = femur.sum(axis=tuple(other for other in range(3) if other != axis))
        held = np.flatnonzero(area)
        margin = int(np.ceil(MARGIN_MM / spacing_zyx[axis]))
        first, last = (held[0], held[-1]) if held.size else (0, femur.shape[axis] - 1)
        shown.append(slice(max(0, int(first) - margin), int(last) + margin + 1))
        middle.append(int(area.argmax()) if held.size else femur.shape[axis] // 2)
    z, y, x = shown
    head = "S"
    return [
        Plane(name, _upright(image_zyx[where]), _upright(femur[where]), pixel_mm, edges)
        for name, where, pixel_mm, edges in (
            ("axial", (middle[0], y, x), (spacing_zyx[1], spacing_zyx[2]), ("R", "L", "A", "P")),
            ("coronal", (z, middle[1], x), (spacing_zyx[0], spacing_zyx[2]), ("R", "L", head, "I")),
            ("sagittal", (z, y, middle[2]), (spacing_zyx[0], spacing_zyx[1]), ("A", "P", head, "I")),
        )
    ]


def _upright(plane: NDArray) -> NDArray:
    """Rows and columns run against the axes: up to the head or front, left to the right side or front."""
    return plane[::-1, ::-1]


def _draw(picture: _Picture) -> NDArray[np.uint8]:
    """Draw a case, write its file, and return its pixels (rows, columns, RGB)."""
    import SimpleITK as sitk

    volumes = [read_volume(picture.folder / name) for name in (picture.record.image, picture.record.mask)]
    image, mask = (oriented(volume, "RAS") for volume in volumes)
    hu_zyx, femur_zyx = (sitk.GetArrayViewFromImage(volume) for volume in (image, mask))
    of_case = planes(hu_zyx, femur_zyx, image.GetSpacing())
    pixels = draw_case(of_case, picture.heading, picture.record.findings)
    _write_png(picture.folder / QC_FOLDER / _picture_name(picture.record.case), pixels)
    return pixels


def draw_case(of_case: Sequence[Plane], heading: str, findings: Sequence[Any]) -> NDArray[np.uint8]:
    """Draw three planes side by side with the mask's contour, a heading above and findings beneath.

    Args:
        of_case: The planes.
        heading: One line about the case.
        findings: What was found; the gravest come first, and those that do not fit are counted.

    Returns:
        The pixels (rows, columns, RGB).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = _CELL_PIXELS
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    worst = min((list(Severity).index(finding.severity) for finding in findings), default=len(Severity) - 1)
    colour = _SEVERITY_COLOURS[list(Severity)[worst]]
    figure.text(0.02, 0.985, heading, va="top", size=8, weight="bold", color=colour, parse_math=False)
    wide = [plane.image.shape[1] * plane.pixel_mm[1] for plane in of_case]
    share = np.clip(np.array(wide) / sum(wide), 0.2, None)
    share = 0.96 * share / share.sum()
    left = 0.02
    for plane, part in zip(of_case, share, strict=True):
        _draw_plane(figure.add_axes((left, 0.225, float(part) - 0.01, 0.70)), plane)
        left += float(part)
    for number, (line, line_colour) in enumerate(_caption(findings)):
        figure.text(0.02, 0.19 - 0.038 * number, line, va="top", size=6.4, color=line_colour, parse_math=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _draw_plane(axes: Axes, plane: Plane) -> None:
    low, high = BONE_WINDOW_HU
    height, width = plane.pixel_mm
    axes.imshow(plane.image, cmap="gray", vmin=low, vmax=high, aspect=height / width, interpolation="antialiased")
    if plane.mask.any():
        axes.contour(plane.mask.astype(float), levels=[0.5], colors=CONTOUR_COLOUR, linewidths=0.9)
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    places = (
        *((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center")),
        *((0.5, 0.99, "center", "top"), (0.5, 0.01, "center", "bottom")),
    )
    for letter, (x, y, horizontal, vertical) in zip(plane.edges, places, strict=True):
        axes.text(x, y, letter, transform=axes.transAxes, ha=horizontal, va=vertical, size=6, color="#56B4E9")


def _caption(findings: Sequence[Any]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    ordered = sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
    for finding in ordered:
        said = f"{finding.severity.value} {finding.code}: {finding.problem}"
        colour = _SEVERITY_COLOURS[finding.severity]
        lines += [(line, colour) for line in textwrap.wrap(said, _CAPTION_LETTERS)]
    if not lines:
        return [("no findings", "#666666")]
    if len(lines) > _CAPTION_LINES:
        return [*lines[: _CAPTION_LINES - 1], (f"... all {len(ordered)} findings are in index.html", "#444444")]
    return lines


def _blank(picture: _Picture) -> NDArray[np.uint8]:
    """What stands for a case whose volumes ended the process that read them."""
    pixels = draw_case([], f"{picture.record.case}: cannot be read", [])
    _write_png(picture.folder / QC_FOLDER / _picture_name(picture.record.case), pixels)
    return pixels


def _tiled(cells: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """All cells in rows, about as wide as high."""
    columns = min(len(cells), max(1, round((len(cells) * _CELL_PIXELS[1] / _CELL_PIXELS[0]) ** 0.5)))
    rows = -(-len(cells) // columns)
    height, width = cells[0].shape[:2]
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = cell
    return sheet


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    from matplotlib.image import imsave

    png = io.BytesIO()
    imsave(png, pixels, format="png", metadata={"Software": ""})
    with written_beside(path, durable=False) as partial:
        partial.write_bytes(png.getvalue())


def _picture_name(case: str) -> str:
    return f"cases/{case}.png"


def _sheet_names(cases: int) -> list[str]:
    count = -(-cases // SHEET_CASES)
    return ["contact_sheet.png" if number == 0 else f"contact_sheet_{number + 1}.png" for number in range(count)]


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    import csv

    with (folder / "cases.csv").open(encoding="utf-8", newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def _heading(record: CaseRecord, row: dict[str, str]) -> str:
    where = row["set"] if row["fold"] == "" else f"{row['set']}, fold {row['fold']}"
    spacing = row["spacing_mm"].replace(" ", " × ")
    return f"{record.case}   {row['side']}   {where}   {record.volume_ml:.0f} ml   {spacing} mm"


def _state(folder: Path) -> str:
    """What the pictures depend on, as one word."""
    import matplotlib as mpl

    digest = hashlib.sha256((folder / RECORD_FILE).read_bytes())
    digest.update(f"{__version__} {mpl.__version__}".encode())
    return digest.hexdigest()


def _page(
    folder: Path,
    cases: Sequence[CaseRecord],
    rows: dict[str, dict[str, str]],
    sheets: Sequence[str],
    state: str,
) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    record = read_record(folder)
    return environment.get_template("qc.html.j2").render(
        name=folder.name,
        state=state,
        sheets=sheets,
        dataset_findings=record.findings if record else (),
        window=BONE_WINDOW_HU,
        cases=[
            {
                "record": case,
                "row": rows[case.case],
                "picture": _picture_name(case.case),
                "heading": _heading(case, rows[case.case]),
                "doubtful": any(finding.severity is not Severity.NOTE for finding in case.findings),
            }
            for case in cases
        ],
    )
