"""The pictures: the right planes the right way round, and drawn again when the dataset changes."""

from __future__ import annotations

import re

import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.image import imread

from nnunet_femur.conversion import convert, draw_dataset
from nnunet_femur.conversion.qc_drawing import CONTOUR_COLOUR, draw_case, planes
from nnunet_femur.findings import Finding, Severity
from tests.refusing import refused

ORANGE = np.array([int(CONTOUR_COLOUR[i : i + 2], 16) for i in (1, 3, 5)])


def _volume() -> tuple[np.ndarray, np.ndarray]:
    """RAS voxels with a bright mark right, before and above a mask that is largest in known planes."""
    image = np.full((20, 30, 40), -1000, np.int16)
    mask = np.zeros(image.shape, np.uint8)
    mask[8:13, 10:21, 15:26] = 1
    mask[10, 8:23, 20] = 1  # z 10, x 20 hold most
    mask[7, 15, 20] = 1
    mask[10, 15, 12:30] = 1  # y 15 holds most
    image[10, 15, 38] = 1000  # to the right
    image[10, 28, 20] = 1000  # in front
    image[18, 15, 20] = 1000  # above
    return image, mask


class TestPlanes:
    def test_right_is_left_front_and_head_are_above(self):
        axial, coronal, sagittal = planes(*_volume(), (2.0, 2.0, 2.0))
        for plane, marks in ((axial, "RA"), (coronal, "RS"), (sagittal, "AS")):
            rows, columns = np.nonzero(plane.image == 1000)
            height, width = plane.image.shape
            beside = columns[rows.argmax()] < width / 4  # the mark at half height lies on the left
            above = rows.min() < height / 4
            assert beside, plane.name
            assert above, plane.name
            assert {plane.edges[0], plane.edges[2]} == set(marks)

    def test_where_the_mask_is_largest(self):
        image, mask = _volume()
        axial, coronal, sagittal = planes(image, mask, (5.0, 5.0, 5.0))
        assert axial.mask.sum() == mask[10].sum()
        assert coronal.mask.sum() == mask[:, 15].sum()
        assert sagittal.mask.sum() == mask[:, :, 20].sum()

    def test_pixels_have_the_voxels_proportions(self):
        axial, coronal, sagittal = planes(*_volume(), (0.7, 0.8, 2.0))
        assert (axial.pixel_mm, coronal.pixel_mm, sagittal.pixel_mm) == ((0.8, 0.7), (2.0, 0.7), (2.0, 0.8))

    def test_cut_to_the_mask_and_a_margin_in_mm(self):
        image, mask = _volume()
        axial, _, _ = planes(image, mask, (25.0, 12.5, 60.0))
        # x 12 to 29 and one voxel of 25 mm around, y 8 to 22 and two of 12.5 mm.
        assert axial.image.shape == (15 + 4, 18 + 2)

    def test_an_empty_mask_shows_the_middle(self):
        image, mask = _volume()
        axial, _, _ = planes(image, mask * 0, (1.0, 1.0, 1.0))
        assert axial.image.shape == image.shape[1:]
        assert not axial.mask.any()


class TestDrawing:
    def _is_contour(self, pixels: np.ndarray) -> np.ndarray:
        return (np.abs(pixels.astype(int) - ORANGE) < 40).all(axis=-1)

    def test_the_outline_is_orange_and_goes_around_the_mask(self):
        image, mask = _volume()
        with_mask = self._is_contour(draw_case(planes(image, mask, (5.0, 5.0, 5.0)), "L1", []))
        without = self._is_contour(draw_case(planes(image, mask * 0, (5.0, 5.0, 5.0)), "L1", []))
        assert with_mask.sum() > 200
        assert without.sum() == 0

    def test_every_case_has_the_same_size(self):
        image, mask = _volume()
        findings = [Finding("padding", Severity.NOTE, "x.nrrd", "is $padded$ with <-3024>. " * 9)] * 4
        one = draw_case(planes(image, mask, (1.0, 1.0, 9.0)), "L1", findings)
        other = draw_case(planes(image, mask, (9.0, 1.0, 1.0)), "L2", [])
        assert one.shape == other.shape

    def test_findings_are_below_the_planes(self):
        image, mask = _volume()
        of_case = planes(image, mask, (5.0, 5.0, 5.0))
        note = Finding("padding", Severity.NOTE, "x.nrrd", "was padded.")
        plain, noted = draw_case(of_case, "L1", []), draw_case(of_case, "L1", [note])
        beneath = slice(int(plain.shape[0] * 0.78), None)
        assert (plain[: beneath.start] == noted[: beneath.start]).all()
        assert (plain[beneath] != noted[beneath]).any()


class TestDataset:
    @pytest.fixture
    def dataset(self, hospital, raw):
        hospital.add_patients(6)
        hospital.write("GoldStandard/L101_GS.nrrd", hospital.mask() * 2)
        return convert(hospital.folder, dataset_id=1, raw=raw).folder

    def test_a_sheet_a_page_and_a_picture_per_case(self, dataset):
        page = draw_dataset(dataset)
        assert page == dataset / "qc" / "index.html"
        cases = sorted(path.name for path in (dataset / "qc" / "cases").iterdir())
        assert cases == [f"{'RL'[n % 2]}{100 + n}.png" for n in sorted(range(1, 7), key=lambda n: ("RL"[n % 2], n))]
        cell, sheet = (imread(dataset / "qc" / name) for name in ("cases/L101.png", "contact_sheet.png"))
        assert sheet.shape[0] % cell.shape[0] == sheet.shape[1] % cell.shape[1] == 0
        assert (sheet[: cell.shape[0], : cell.shape[1]] == cell).all()
        text = page.read_text()
        assert "mask-label-2" in text
        assert set(re.findall(r'src="([^"]+)"', text)) == {f"cases/{name}" for name in cases}

    def test_pictures_do_not_affect_the_next_conversion(self, dataset, hospital, raw):
        draw_dataset(dataset)
        assert convert(hospital.folder, dataset_id=1, raw=raw).written == ()
        assert (dataset / "qc" / "index.html").is_file()
        hospital.write("Images/L103_CT.nrrd", hospital.image("L103") + 1)
        assert convert(hospital.folder, dataset_id=1, raw=raw).written == ("L103",)

    def test_a_file_that_is_no_picture_is_not_lost(self, dataset, hospital, raw):
        draw_dataset(dataset)
        (dataset / "qc" / "remarks.txt").write_text("mine")
        with refused("edited-by-hand", "qc/remarks.txt"):
            convert(hospital.folder, dataset_id=1, raw=raw, seed=1)

    def test_drawn_again_only_if_something_changed(self, dataset, hospital, raw):
        page = draw_dataset(dataset)
        before = {path: path.stat().st_mtime_ns for path in (dataset / "qc").rglob("*")}
        draw_dataset(dataset)
        assert {path: path.stat().st_mtime_ns for path in (dataset / "qc").rglob("*")} == before
        (dataset / "qc" / "cases" / "L101.png").unlink()
        draw_dataset(dataset)
        assert (dataset / "qc" / "cases" / "L101.png").is_file()
        hospital.add("L107")
        for path in hospital.folder.glob("*/R106*"):
            path.unlink()
        convert(hospital.folder, dataset_id=1, raw=raw)
        assert "R106" not in draw_dataset(dataset).read_text()
        assert page.is_file()

    def test_the_same_pictures_with_two_processes(self, dataset, tree):
        draw_dataset(dataset)
        one = tree(dataset / "qc")
        for path in (dataset / "qc").rglob("*.png"):
            path.unlink()
        draw_dataset(dataset, jobs=2)
        assert tree(dataset / "qc") == one

    def test_names_of_files_are_escaped(self, hospital, raw):
        hospital.add_patients()
        (hospital.folder / "Images/L101_CT.nrrd").rename(hospital.folder / "Images/L101_<script>alert(1)<b>.nrrd")
        text = draw_dataset(convert(hospital.folder, dataset_id=1, raw=raw).folder).read_text()
        assert "<script>" not in text
        assert "L101_&lt;script&gt;" in text

    def test_more_cases_than_one_sheet_holds(self, dataset, monkeypatch):
        monkeypatch.setattr("nnunet_femur.conversion.qc.SHEET_CASES", 3)
        draw_dataset(dataset)
        assert sorted(path.name for path in (dataset / "qc").glob("*.png")) == [
            "contact_sheet.png",
            "contact_sheet_2.png",
        ]

    def test_a_folder_that_is_not_a_dataset(self, tmp_path):
        with refused("no-dataset", tmp_path):
            draw_dataset(tmp_path)


def test_a_left_femur_is_drawn_with_its_head_on_the_left(hospital, raw):
    """The whole way: LPS source, RAS dataset, coronal picture seen from the front."""
    hospital.add_patients()
    bright = np.full(hospital.shape_zyx, -1000, np.int16)
    bright[2, 3, 1] = 1200  # in LPS a small x is the patient's right
    hospital.write("Images/L101_CT.nrrd", bright)
    dataset = convert(hospital.folder, dataset_id=1, raw=raw).folder
    image, mask = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(next(dataset.glob(name)))))
        for name in ("images*/L101_0000.nrrd", "labels*/L101.nrrd")
    )
    mask[:] = 0
    mask[2, 3 if image[2, 3].max() == 1200 else 2, :] = 1
    coronal = planes(image, mask, hospital.spacing_mm_xyz)[1]
    assert np.nonzero(coronal.image == 1200)[1][0] < coronal.image.shape[1] / 2
