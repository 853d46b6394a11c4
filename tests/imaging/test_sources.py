"""CTs and masks as users name them."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import VolumeError
from nnunet_femur.imaging.sources import Source, digest, find_masks, find_sources, parts, read_source
from tests.dicom_writing import BASIC_TEXT_SR, MR, dataset, enhanced_ct, save, write_ct
from tests.refusing import refused

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
    with refused("not-ct", tmp_path / "mr"):
        source.read()
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


def test_equal_names_get_the_names_of_their_folders(tmp_path: Path) -> None:
    paths = [_write(tmp_path / name / "ct.nrrd") for name in ("anna", "berta")]
    assert [source.case for source in find_sources(paths)] == ["anna_ct", "berta_ct"]
    with refused("duplicate-case", paths[0]):
        find_sources([_write(tmp_path / "anna" / "ct.nii.gz"), paths[0]])


@pytest.mark.parametrize(("name", "code"), [("nowhere", "not-found"), ("empty", "no-cases")])
def test_a_path_without_a_ct_is_refused(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "empty").mkdir()
    with refused(code, tmp_path / name):
        find_sources([tmp_path / name])


def test_paths_may_be_text(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nrrd")
    assert find_sources([str(path)]) == find_sources([path])


def test_nan_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nrrd", np.full((3, 4, 5), np.nan, np.float32))
    with refused("unreadable", path):
        Source("ct", path).read()


def test_another_content_is_another_state(tmp_path: Path) -> None:
    source = Source("ct", _write(tmp_path / "ct.nrrd"))
    before = source.state()
    assert source.state() == before
    _write(tmp_path / "ct.nrrd", np.ones((9, 9, 9), np.int16))
    assert source.state() != before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with pipes")
def test_a_pipe_is_listed_and_refused_when_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.nrrd")
    (source,) = find_sources([tmp_path / "a.nrrd"])
    with pytest.raises(VolumeError):
        source.read()


def test_changed_voxels_of_a_detached_header_are_another_state(tmp_path: Path) -> None:
    source = Source("ct", _write(tmp_path / "ct.mhd"))
    before = source.state()
    assert before["files"] == 2
    with (tmp_path / "ct.raw").open("ab") as file:
        file.write(b"x")
    assert source.state() != before


class TestFindMasks:
    def test_a_mask_counts_before_a_segmentation_of_the_same_case(self, tmp_path: Path) -> None:
        for name in ("L1.nrrd", "L1.seg.nrrd", "L2.seg.nrrd", ".hidden.nrrd"):
            _write(tmp_path / name)
        (tmp_path / "L3.npz").write_bytes(b"probabilities")
        found = find_masks(tmp_path)
        assert {case: path.name for case, path in found.files.items()} == {"L1": "L1.nrrd", "L2": "L2.seg.nrrd"}
        assert found.ambiguous == {}

    def test_several_masks_of_a_case_are_ambiguous(self, tmp_path: Path) -> None:
        for name in ("L1.nrrd", "L1.nii.gz", "L2.nrrd"):
            _write(tmp_path / name)
        found = find_masks(tmp_path)
        assert list(found.files) == ["L2"]
        assert list(found.ambiguous) == ["L1"]

    def test_a_folder_that_cannot_be_read(self, tmp_path: Path) -> None:
        with refused("unreadable", tmp_path / "nowhere"):
            find_masks(tmp_path / "nowhere")


@pytest.fixture
def image():
    return sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))


class TestParts:
    def test_one_file(self, tmp_path, image):
        path = tmp_path / "a.nrrd"
        sitk.WriteImage(image, str(path))
        assert parts(path) == [path]
        assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()

    @pytest.mark.parametrize(("ending", "data"), [(".mhd", "a.raw"), (".nhdr", "a.raw"), (".nrrd", "a.raw")])
    def test_a_header_and_its_voxels(self, tmp_path, image, ending, data):
        path = tmp_path / f"a{ending}"
        if ending == ".nrrd":
            # Not the usual name of such a header.
            sitk.WriteImage(image, str(tmp_path / "a.nhdr"))
            (tmp_path / "a.nhdr").rename(path)
        else:
            sitk.WriteImage(image, str(path))
        sitk.WriteImage(image, str(tmp_path / "b.mhd"))
        assert [file.name for file in parts(path)] == [path.name, data]
        before = digest(path)
        (tmp_path / "b.raw").write_bytes(b"")
        assert digest(path) == before
        content = bytearray((tmp_path / data).read_bytes())
        content[5] ^= 1
        (tmp_path / data).write_bytes(content)
        assert digest(path) != before

    def test_a_folder_of_slices(self, tmp_path, write_slices):
        folder = write_slices(tmp_path / "ct", np.zeros((3, 4, 5), np.int16))
        before = digest(folder)
        (folder / ".DS_Store").write_bytes(b"x")
        assert digest(folder) == before
        (folder / "slice001.dcm").rename(folder / "slice009.dcm")
        assert digest(folder) != before


class TestRead:
    @pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"])
    def test_every_format(self, tmp_path, image, ending):
        file = f"A b{ending.upper() if ending == '.nrrd' else ending}"
        sitk.WriteImage(image, str(tmp_path / file))
        header, voxels = read_source(tmp_path, tmp_path.joinpath(file).relative_to(tmp_path))
        assert header.geometry.size_xyz == (4, 3, 2)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(voxels), sitk.GetArrayFromImage(image))

    @pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
    @pytest.mark.parametrize("damage", ["lost", "cut"])
    def test_voxels_of_a_detached_header(self, tmp_path, image, ending, damage):
        path = tmp_path / f"a{ending}"
        sitk.WriteImage(image, str(path))
        data = tmp_path / "a.raw"
        if damage == "lost":
            data.unlink()
        else:
            data.write_bytes(data.read_bytes()[:-3])
        assert read_source(tmp_path, path.relative_to(tmp_path)).code == "unreadable"


class TestOwnDicom:
    """DICOM files that this package writes may be in the folders of CTs."""

    @pytest.fixture
    def scans(self, tmp_path: Path, write_slices: Callable) -> Path:
        for name in ("a", "b"):
            write_slices(tmp_path / "scans" / name, np.ones((3, 4, 5), np.int16))
        return tmp_path / "scans"

    @pytest.mark.parametrize("name", ["L1.seg.dcm", "L1.rtstruct.dcm"])
    def test_are_not_cts(self, scans: Path, name: str) -> None:
        (scans / "out").mkdir()
        (scans / "out" / name).write_bytes(next((scans / "a").iterdir()).read_bytes())
        assert [source.case for source in find_sources([scans])] == ["a", "b"]

    def test_do_not_change_the_ct(self, scans: Path) -> None:
        (source,) = find_sources([scans / "a"])
        before = source.state(), source.read().header.findings
        (scans / "a" / "a.seg.dcm").write_bytes(next((scans / "a").iterdir()).read_bytes())
        assert (source.state(), source.read().header.findings) == before

    def test_are_masks_of_their_case(self, scans: Path) -> None:
        for name in ("L1.seg.dcm", "L2.rtstruct.dcm", "L3.seg.dcm"):
            (scans / name).write_bytes(next((scans / "a").iterdir()).read_bytes())
        (scans / "L3.nrrd").write_bytes(b"NRRD0004")
        found = find_masks(scans).files
        assert {case: found[case].name for case in ("L1", "L2", "L3")} == {
            "L1": "L1.seg.dcm",
            "L2": "L2.rtstruct.dcm",
            "L3": "L3.nrrd",
        }
