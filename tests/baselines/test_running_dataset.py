"""The whole way on a dataset, by the command, through TotalSegmentator's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import SimpleITK as sitk
from written_files import BASELINE, fields_of

from nnunet_femur.comparison.discovery import discover
from nnunet_femur.imaging.geometry import Geometry
from nnunet_femur.imaging.writing import write_volume
from nnunet_femur.testing import make_phantom
from tests.refusing import names

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.baselines.conftest import Cell

pytestmark = pytest.mark.integration

NAME = "Dataset007_Femur"
TRAIN, TEST, BROKEN, SLAB = ("L1", "R2"), ("L3",), "R4", "L0"


def _listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _write_case(raw: Path, part: str, case: str, seed: int) -> None:
    # A piece of the shaft; the axes are stored in another order for each case.
    phantom = make_phantom(seed, side="left", size_zyx=(14, 12, 12), spacing_mm_zyx=(6.0, 6.0, 6.0))
    order = ("LPS", "ARS", "IPL")[seed % 3]
    for folder, image, suffix in ((f"images{part}", phantom.image, "_0000"), (f"labels{part}", phantom.mask, "")):
        (raw / folder).mkdir(parents=True, exist_ok=True)
        write_volume(sitk.DICOMOrient(image, order), raw / folder / f"{case}{suffix}.nrrd")


class Done(NamedTuple):
    ended: CompletedProcess[str]
    base: Path
    home_before: list[str]

    @property
    def method(self) -> Path:
        return self.base / "nnUNet_results" / NAME / "TotalSegmentator__total__1.5mm"


@pytest.fixture(scope="module")
def done(cell: Cell) -> Done:
    """A run in which one CT is damaged, and one has a single slice."""
    base = cell.folder / "data"
    raw = base / "nnUNet_raw" / NAME
    for seed, case in enumerate((*TRAIN, *TEST)):
        _write_case(raw, "Tr" if case in TRAIN else "Ts", case, seed)
    _write_case(raw, "Ts", BROKEN, 3)
    broken = raw / "imagesTs" / f"{BROKEN}_0000.nrrd"
    broken.write_bytes(broken.read_bytes()[:-200])
    one_slice = make_phantom(4, side="left", size_zyx=(14, 12, 12), spacing_mm_zyx=(6.0, 6.0, 6.0)).image[:, :, 5:6]
    write_volume(one_slice, raw / "imagesTs" / f"{SLAB}_0000.nrrd")
    (raw / "dataset.json").write_text(json.dumps({"file_ending": ".nrrd"}))
    variables = {name: str(base / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    cell.home.mkdir(exist_ok=True)
    (cell.home / "mine.txt").write_text("mine")
    home = _listing(cell.home)
    return Done(cell.run("baseline", "-d", "7", "--device", "cpu", **variables), base, home)


def test_bad_cases_do_not_lose_the_others(done: Done) -> None:
    assert done.ended.returncode == 1
    assert "2 of 5" in done.ended.stderr
    assert f"{BROKEN}_0000.nrrd" in done.ended.stderr
    assert f"{SLAB}_0000.nrrd" in done.ended.stderr
    assert "Traceback" not in done.ended.stderr
    assert {path.stem for path in done.method.rglob("*.nrrd")} == {*TRAIN, *TEST}


def test_masks_have_the_grid_of_the_ct(done: Done) -> None:
    for folder, part, cases in (("imagesTr", "validation", TRAIN), ("imagesTs", "test", TEST)):
        for case in cases:
            ct = sitk.ReadImage(str(done.base / "nnUNet_raw" / NAME / folder / f"{case}_0000.nrrd"))
            mask = sitk.ReadImage(str(done.method / part / f"{case}.nrrd"))
            assert Geometry.of(mask) == Geometry.of(ct)
            assert set(np.unique(sitk.GetArrayViewFromImage(mask))) <= {0, 1}
            assert sitk.GetArrayViewFromImage(mask).any()


def test_comparison_takes_it_for_a_method(done: Done) -> None:
    found = discover(done.base / "nnUNet_results", raw=done.base / "nnUNet_raw")
    assert {(one.method, one.set, one.fold): set(one.files) for one in found.predictions} == {
        ("TotalSegmentator__total__1.5mm", "cv", "none"): set(TRAIN),
        ("TotalSegmentator__total__1.5mm", "test", "none"): set(TEST),
    }
    complaints = [line for one in found.predictions for line in one.complaints()]
    (complaint,) = complaints
    assert names(complaint, "TotalSegmentator__total__1.5mm", "1 of 2", BROKEN)


def test_the_record_has_weights_and_versions(done: Done) -> None:
    record = json.loads((done.method / "run.json").read_text())
    assert list(record) == fields_of(BASELINE, "run.json")
    assert [model["dummy"] for model in record["settings"]["weights"]] == [True, True]
    assert record["settings"]["versions"].keys() >= {"TotalSegmentator", "nnunetv2", "nnunet_femur"}
    assert record["cases"].keys() == {*TRAIN, *TEST, BROKEN, SLAB}
    assert [record["cases"].pop(case)["code"] for case in (BROKEN, SLAB)] == ["unreadable", "too-thin"]
    assert all(case["seconds"] > 0 and case["volume_ml"] > 0 for case in record["cases"].values())
    assert record["works_in_slices"] is False
    assert (record["device"], record["command"][1:4]) == ("cpu", ["baseline", "-d", "7"])


def test_no_connection_is_made(done: Done, cell: Cell) -> None:
    assert (cell.folder / "blocked").is_file(), "the sockets were not watched"
    assert cell.connections == []


def test_home_and_weights_are_untouched(done: Done, cell: Cell) -> None:
    assert _listing(cell.home) == done.home_before == ["mine.txt"]
    assert not [path for path in _listing(cell.weights) if "config" in Path(path).name]
    assert {path.name for path in done.base.iterdir()} == {"nnUNet_raw", "nnUNet_results"}
