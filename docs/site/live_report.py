"""The live report of the site: a comparison of made-up errors on phantoms, made by nnunet_femur itself."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

CASES, SEED = 14, 5
SIZE_ZYX, SPACING_MM_ZYX = (130, 56, 56), (4.0, 2.5, 2.5)

_PAGE = """# A live report

`nnfemur compare` writes this file, `report.html`. It contains its figures, and needs no server and no internet.

!!! warning "Made-up predictions of phantoms"

    The CTs are {cases} phantoms, and no network made these predictions: each method is the reference mask with an error
    that its name states. The report shows what a comparison looks like, not how accurate segmentations are.
    [A complete study](results.md) has the scores of trained networks.

<iframe class="report-frame" src="live/report.html" title="Report of a comparison of four kinds of errors"></iframe>

[Open the report in a window of its own](live/report.html){{target=_blank}}.
[Scores, and how to read a comparison](scoring.md) explains every table and figure.
`docs/site/live_report.py` makes this page whenever the site is built.
"""


def pages() -> Iterator[tuple[str, str | bytes]]:
    """Yield the page and the report. NNFEMUR_SITE_REPORT=0 replaces the report, which takes 20 s, by a sentence."""
    yield "live-report.md", _PAGE.format(cases=CASES)
    if os.environ.get("NNFEMUR_SITE_REPORT") == "0":
        yield "live/report.html", "<!doctype html><title>Report</title><p>This build left the report out.</p>\n"
        return
    yield "live/report.html", _report()


@cache
def _report() -> bytes:
    """Return the report; `mkdocs serve` makes it once, not after each change of a page."""
    with tempfile.TemporaryDirectory() as folder:
        return made_report(Path(folder)).read_bytes()


def made_report(folder: Path) -> Path:
    """Write phantoms, predictions and their comparison into a folder, and return the path of the report."""
    import SimpleITK as sitk

    import nnunet_femur as nf
    from nnunet_femur.testing import write_phantoms

    write_phantoms(folder / "source", cases=CASES, seed=SEED, size_zyx=SIZE_ZYX, spacing_mm_zyx=SPACING_MM_ZYX)
    result = nf.convert(folder / "source", dataset_id=1, name="Phantoms", raw=folder / "nnUNet_raw", split="2/2/8")
    rng = np.random.default_rng(SEED)
    dataset = folder / "nnUNet_results" / "Dataset001_Phantoms"
    methods = {name: dataset / f"{name}__nnUNetPlans__phantoms" for name in ERRORS}
    for case in result.split.test:
        reference = sitk.ReadImage(str(folder / "nnUNet_raw" / "Dataset001_Phantoms" / "labelsTs" / f"{case}.nrrd"))
        mask = sitk.GetArrayFromImage(reference) > 0
        for name, error in ERRORS.items():
            predicted = sitk.GetImageFromArray(error(mask, rng).astype(np.uint8))
            predicted.CopyInformation(reference)
            (methods[name] / "test").mkdir(parents=True, exist_ok=True)
            (methods[name] / "run.json").write_text('{"works_in_slices": false}', encoding="utf-8")
            sitk.WriteImage(predicted, str(methods[name] / "test" / f"{case}.nrrd"), useCompression=True)
    return nf.compare(dataset, measurements=False).report


def _rough_edge(mask: Mask, rng: np.random.Generator) -> Mask:
    """Return a mask whose edge is uneven by about a voxel."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    inside = distance_transform_edt(mask) - distance_transform_edt(~mask)
    return inside + gaussian_filter(rng.normal(size=mask.shape), 2) * 12 * rng.uniform(0.3, 1) > 0


def _shifted(mask: Mask, rng: np.random.Generator) -> Mask:
    """Return a mask that is shifted by one or two voxels to the side."""
    return np.roll(mask, int(rng.integers(1, 3)), axis=2)


def _too_thin(mask: Mask, rng: np.random.Generator) -> Mask:
    """Return a mask without its outer voxels, and with some of them in a part of the bone."""
    from scipy.ndimage import binary_erosion

    thin = binary_erosion(mask)
    kept = int(mask.shape[0] * rng.uniform(0, 0.6))
    return np.concatenate([mask[:kept], thin[kept:]])


def _head_missed(mask: Mask, rng: np.random.Generator) -> Mask:
    """Return a mask without its uppermost slices, and with a false positive beside the bone."""
    missed = mask.copy()
    held = np.flatnonzero(mask.any(axis=(1, 2)))
    missed[held[-int(rng.integers(3, 9)) :]] = False
    missed[held[0] + 5 : held[0] + 12, 2:9, 2:9] = True
    return missed


ERRORS = {
    "Rough edge": _rough_edge,
    "Shifted by 3 to 5 mm": _shifted,
    "Too thin": _too_thin,
    "Head missed": _head_missed,
}
"""Makers of predictions by name of the method."""
