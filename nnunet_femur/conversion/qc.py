"""Pictures of a converted dataset: a picture per case, sheets of all cases, and an HTML page.

The pictures are drawn from the dataset as written, and show what nnU-Net will read. They are written to the folder
``qc`` of the dataset, which nnU-Net ignores: ``contact_sheet.png``, ``index.html`` and ``cases/CASE.png``.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_femur.atomic_files import write_text, written_beside
from nnunet_femur.conversion.dataset_record import RECORD_FILE, DatasetRecord
from nnunet_femur.conversion.qc_drawing import BONE_WINDOW_HU, draw_case, planes, tiled
from nnunet_femur.conversion.staging import QC_FOLDER
from nnunet_femur.dataset.raw import RawDataset
from nnunet_femur.errors import InputError
from nnunet_femur.findings import Severity
from nnunet_femur.imaging.files import read_volume
from nnunet_femur.imaging.geometry import oriented
from nnunet_femur.page_templates import page_templates
from nnunet_femur.processes import each
from nnunet_femur.progress import SILENT, Progress, track
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.conversion.case_record import CaseRecord

SHEET_CASES = 40
"""Largest number of cases on a sheet; more cases get more sheets."""

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class _DrawingTask:
    """Task of drawing one case in a worker: the dataset's folder, the record of the case, and its heading."""

    folder: Path
    record: CaseRecord
    heading: str


def draw_dataset(folder: str | os.PathLike[str], *, jobs: int = 1, progress: Progress = SILENT) -> Path:
    """Draw a converted dataset, unless its pictures are up to date.

    Args:
        folder: Folder of the dataset.
        jobs: Number of processes, from 1.
        progress: Receives the progress.

    Returns:
        Path of the page ``qc/index.html``.

    Raises:
        InputError: The folder is not a dataset of this package (code "no-dataset"), or a volume cannot be read.

    Example:
        >>> import nnunet_femur as nf
        >>> result = nf.convert("source", dataset_id=1, raw="nnUNet_raw")
        >>> draw_dataset(result.folder).name
        'index.html'
    """
    folder = Path(folder)
    record = DatasetRecord.read(folder)
    if record is None:
        msg = f"{folder}: contains no {RECORD_FILE} of this package. Write the dataset with nnfemur convert."
        raise InputError(msg, code="no-dataset")
    qc = folder / QC_FOLDER
    page = qc / "index.html"
    sheets = _sheet_names(len(record.cases))
    wanted = [page, *(qc / name for name in sheets), *(qc / _picture_name(case.case) for case in record.cases)]
    state = _state(folder)
    if all(path.is_file() for path in wanted) and state in page.read_text(encoding="utf-8"):
        return page

    (qc / "cases").mkdir(parents=True, exist_ok=True)
    rows = _rows_by_case(folder)
    pictures = [_DrawingTask(folder, case, _heading(case, rows[case.case])) for case in record.cases]
    drawn = dict(
        track(
            each(_draw, pictures, jobs=jobs, crashed=_unreadable_picture), "Drawing", len(pictures), progress=progress
        )
    )
    for number, name in enumerate(sheets):
        cells = [drawn[i] for i in range(number * SHEET_CASES, min(len(drawn), (number + 1) * SHEET_CASES))]
        _write_png(qc / name, tiled(cells))
    for path in [*qc.glob("contact_sheet*.png"), *(qc / "cases").glob("*.png")]:
        if path not in wanted:
            path.unlink()
    write_text(page, _page(folder, record.cases, rows, sheets, state), durable=False)
    return page


def _draw(picture: _DrawingTask) -> NDArray[np.uint8]:
    """Draw a case, write the file, and return the pixels (rows, columns, RGB)."""
    import SimpleITK as sitk

    volumes = [read_volume(picture.folder / name) for name in (picture.record.image, picture.record.mask)]
    image, mask = (oriented(volume, "RAS") for volume in volumes)
    hu_zyx, femur_zyx = (sitk.GetArrayViewFromImage(volume) for volume in (image, mask))
    of_case = planes(hu_zyx, femur_zyx, image.GetSpacing())
    pixels = draw_case(of_case, picture.heading, picture.record.findings)
    _write_png(picture.folder / QC_FOLDER / _picture_name(picture.record.case), pixels)
    return pixels


def _unreadable_picture(picture: _DrawingTask) -> NDArray[np.uint8]:
    """Return an empty picture for a case whose volumes crashed the process that read them."""
    pixels = draw_case([], f"{picture.record.case}: cannot be read", [])
    _write_png(picture.folder / QC_FOLDER / _picture_name(picture.record.case), pixels)
    return pixels


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


def _rows_by_case(folder: Path) -> dict[str, dict[str, str]]:
    return {row["case"]: row for row in RawDataset.open(folder).case_rows()}


def _heading(record: CaseRecord, row: dict[str, str]) -> str:
    where = row["set"] if row["fold"] == "" else f"{row['set']}, fold {row['fold']}"
    spacing = row["spacing_mm"].replace(" ", " × ")
    return f"{record.case}   {row['side']}   {where}   {record.volume_ml:.0f} ml   {spacing} mm"


def _state(folder: Path) -> str:
    """Return a checksum of everything that determines the pictures."""
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
    """Return the HTML page of the pictures; it contains `state`, by which the next run finds it up to date."""
    record = DatasetRecord.read(folder)
    return (
        page_templates(_TEMPLATES)
        .get_template("qc.html.j2")
        .render(
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
    )
