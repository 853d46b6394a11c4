"""Which CTs a user means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.sources import Source, find_sources
from tests.dicom_writing import BASIC_TEXT_SR, MR, dataset, enhanced_ct, save, write_ct

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STORED_ZYX = np.random.default_rng(0).integers(0, 2500, (4, 6, 5)).astype(np.int16)


def _write(path: Path, array: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16) if array is None else array), str(path))
    return path


def test_names_are_those_of_the_files(tmp_path: Path, write_slices: Callable) -> None:
    _write(tmp_path / "in" / "L1_0000.nii.gz")
    _write(tmp_path / "in" / "L2.nrrd")
    _write(tmp_path / "in" / "L2.seg.nrrd")
    (tmp_path / "in" / "notes.txt").write_text("no volume")
    write_slices(tmp_path / "in" / "series 3", np.zeros((3, 4, 5), np.int16))
    (tmp_path / "in" / "empty").mkdir()
    found = find_sources([tmp_path / "in"])
    assert [source.case for source in found] == ["L1", "L2", "series 3"]
    assert find_sources([tmp_path / "in" / "series 3"])[0].case == "series 3"
    assert find_sources([tmp_path / "in", tmp_path / "in" / "L2.nrrd"]) == found, "each once"


def test_slices_and_volumes_in_one_folder(tmp_path: Path) -> None:
    write_ct(tmp_path / "in", STORED_ZYX)
    for name in ("L1.nrrd", "R2_0000.nii.gz", "L1.seg.nrrd"):
        _write(tmp_path / "in" / name)
    found = find_sources([tmp_path / "in"])
    assert [(source.case, source.path.name) for source in found] == [
        ("L1", "L1.nrrd"),
        ("R2", "R2_0000.nii.gz"),
        ("in", "in"),
    ]
    assert [source.read().image.GetSize()[2] for source in found] == [3, 3, 4]


def test_exports_with_folders_for_patient_study_and_series(tmp_path: Path) -> None:
    for name in ("PAT1", "PAT2"):
        write_ct(tmp_path / "export" / name / "ST1" / "SE1", STORED_ZYX)
    (tmp_path / "export" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    found = find_sources([tmp_path / "export"])
    assert [source.case for source in found] == ["PAT1", "PAT2"]
    assert all(source.read().image.GetSize() == (5, 6, 4) for source in found)
    assert find_sources([tmp_path / "export" / "PAT2"])[0].case == "PAT2"


def test_a_dicom_file_is_a_case(tmp_path: Path) -> None:
    save(enhanced_ct(STORED_ZYX, (3, 0, 2, 1)), tmp_path / "1.2.840.113619")
    (source,) = find_sources([tmp_path / "1.2.840.113619"])
    assert source.case == "1.2.840.113619"
    assert source.read().image.GetSize() == (5, 6, 4)


def test_enhanced_files_in_one_folder(tmp_path: Path) -> None:
    for number in (1, 2):
        made = enhanced_ct(STORED_ZYX, (3, 0, 2, 1))
        made.SeriesInstanceUID = f"1.2.3.{number}"
        save(made, tmp_path / "in" / f"L{number}.dcm")
    save(dataset(BASIC_TEXT_SR, Modality="SR"), tmp_path / "in" / "SR1")
    assert [source.case for source in find_sources([tmp_path / "in"])] == ["L1", "L2"]
    write_ct(tmp_path / "in", STORED_ZYX)
    assert [source.case for source in find_sources([tmp_path / "in"])] == ["in"]


def test_another_modality_is_refused_unless_any_values_are_wanted(tmp_path: Path) -> None:
    source = Source("mr", write_ct(tmp_path / "mr", STORED_ZYX, Modality="MR", SOPClassUID=MR))
    with pytest.raises(VolumeError) as caught:
        source.read()
    assert caught.value.code == "not-ct"
    assert [found.code for found in source.read(any_values=True).header.findings] == ["modality"]


def test_a_new_slice_below_a_folder_is_another_state(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct" / "SE1", STORED_ZYX)
    source = Source("ct", tmp_path / "ct")
    before = source.state()
    assert before["files"] == 4
    (tmp_path / "ct" / "out").mkdir()
    (tmp_path / "ct" / "out" / "mask.nrrd").write_text("x")
    assert source.state() == before, "outputs below the folder do not count"
    (tmp_path / "ct" / "SE1" / "IM0003").unlink()
    assert source.state() != before


def test_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [_write(tmp_path / name / "ct.nrrd") for name in ("anna", "berta")]
    assert [source.case for source in find_sources(paths)] == ["anna_ct", "berta_ct"]
    with pytest.raises(InputError, match="would have one name"):
        find_sources([_write(tmp_path / "anna" / "ct.nii.gz"), paths[0]])


@pytest.mark.parametrize(("name", "message"), [("nowhere", "no such file"), ("empty", "holds no CT")])
def test_what_is_not_there_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        find_sources([tmp_path / name])


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nrrd", np.full((3, 4, 5), np.nan, np.float32))
    with pytest.raises(VolumeError, match="no number"):
        Source("ct", path).read()


def test_another_file_is_another_state(tmp_path: Path) -> None:
    source = Source("ct", _write(tmp_path / "ct.nrrd"))
    before = source.state()
    assert source.state() == before
    _write(tmp_path / "ct.nrrd", np.ones((9, 9, 9), np.int16))
    assert source.state() != before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with pipes")
def test_what_is_neither_file_nor_folder_is_refused_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.nrrd")
    (source,) = find_sources([tmp_path / "a.nrrd"])
    with pytest.raises(VolumeError):
        source.read()
