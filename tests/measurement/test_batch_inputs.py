"""Masks as users name them, and the CT of each."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk

from nnunet_femur.measurement.batch_inputs import find_inputs
from tests.refusing import names, refused

IMAGE = sitk.Image([2, 2, 2], sitk.sitkUInt8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _made(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()


def _pairs(masks: object, ct: object = None) -> dict[str, tuple[str, str | None]]:
    return {each.case: (str(each.mask), None if each.ct is None else str(each.ct)) for each in find_inputs(masks, ct)}


@pytest.mark.usefixtures("folder")
class TestMasks:
    def test_keep_their_order(self) -> None:
        _made("b.nrrd", "a.seg.nrrd", "in/d.nii.gz", "in/c.nrrd", "in/notes.txt")
        assert list(_pairs(["b.nrrd", "in", Path("a.seg.nrrd")])) == ["b", "c", "d", "a"]

    def test_of_a_folder_prefer_the_mask_to_the_segmentation(self) -> None:
        _made("in/c.nrrd", "in/c.seg.nrrd")
        assert _pairs("in")["c"][0].endswith("c.nrrd")

    def test_of_a_folder_of_predictions(self) -> None:
        _made("in/c.nrrd", "in/c.stl", "in/c_uncertainty.nrrd", "in/d_uncertainty.nrrd", "in/predictions.json")
        assert list(_pairs("in")) == ["c", "d_uncertainty"]

    def test_twice_the_same_file_is_one(self) -> None:
        _made("in/c.nrrd")
        _made("in/a.nrrd")
        assert list(_pairs(["in/c.nrrd", "in", "in/../in/c.nrrd"])) == ["c", "a"]

    def test_of_one_name_get_the_name_of_their_folder(self) -> None:
        _made("one/c.nrrd", "two/c.nrrd", "two/d.nrrd")
        assert list(_pairs(["one", "two"])) == ["one_c", "two_c", "d"]

    def test_that_still_have_one_name_are_refused(self) -> None:
        _made("x/one/c.nrrd", "y/one/c.nrrd")
        with refused("duplicate-case", "x/one/c.nrrd", "y/one/c.nrrd"):
            find_inputs(["x/one", "y/one"])

    def test_ambiguous_cases_are_entries_with_a_problem(self) -> None:
        _made("in/c.nrrd", "in/c.nii.gz", "in/d.nrrd")
        found = {each.case: each for each in find_inputs("in")}
        assert found["c"].mask is None
        assert names(found["c"].problem, "c.nii.gz", "c.nrrd")
        assert found["d"].problem == ""

    def test_that_do_not_exist(self) -> None:
        with refused("not-found", "nowhere.nrrd"):
            find_inputs("nowhere.nrrd")
        Path("empty").mkdir()
        with refused("no-cases", "empty"):
            find_inputs("empty")
        with refused("no-cases"):
            find_inputs([])

    def test_images(self) -> None:
        assert [each.case for each in find_inputs(IMAGE)] == ["femur"]
        assert [each.case for each in find_inputs([IMAGE, IMAGE])] == ["femur_1", "femur_2"]
        _made("c.nrrd")
        for masks in ([IMAGE, "c.nrrd"], [3], [None]):
            with refused("invalid-option", "masks"):
                find_inputs(masks)


@pytest.mark.usefixtures("folder")
class TestCts:
    def test_single_ones_belong_together(self) -> None:
        _made("prediction.nrrd", "scan.nii.gz")
        assert _pairs("prediction.nrrd", "scan.nii.gz") == {"prediction": ("prediction.nrrd", "scan.nii.gz")}

    def test_have_the_name_of_their_mask(self) -> None:
        _made("m/L1.nrrd", "m/L2.nrrd", "c/L2_0000.nrrd", "c/L1_0000.nrrd", "c/L3_0000.nrrd")
        assert _pairs("m", "c") == {"L1": ("m/L1.nrrd", "c/L1_0000.nrrd"), "L2": ("m/L2.nrrd", "c/L2_0000.nrrd")}

    def test_or_its_first_word(self) -> None:
        _made("m/L1_GS.nrrd", "m/R2 GS.nrrd", "c/L1_CT.nrrd", "c/r2_CT.nrrd")
        assert _pairs("m", "c") == {
            "L1_GS": ("m/L1_GS.nrrd", "c/L1_CT.nrrd"),
            "R2 GS": ("m/R2 GS.nrrd", "c/r2_CT.nrrd"),
        }

    @pytest.mark.parametrize(
        "files", [("c/L1_CT.nrrd", "c/L1_CT2.nrrd"), ("c/L1_CT.nrrd", "m/L1_old.nrrd", "c/L7.nrrd")]
    )
    def test_but_not_if_two_have_it(self, files: tuple[str, ...]) -> None:
        _made("m/L1_GS.nrrd", "m/L7.nrrd", "c/L7.nrrd", *files)
        found = {each.case: each for each in find_inputs("m", "c")}
        assert found["L1_GS"].ct is None
        assert names(found["L1_GS"].problem, "m/L1_GS.nrrd")
        assert found["L7"].ct == Path("c/L7.nrrd")

    def test_without_any_mask_are_refused(self) -> None:
        _made("m/L1.nrrd", "m/L2.nrrd", "c/A.nrrd", "c/B.nrrd")
        with refused("no-cases", "A, B"):
            find_inputs("m", "c")

    def test_that_do_not_exist(self) -> None:
        _made("L1.nrrd")
        with refused("not-found", "nowhere"):
            find_inputs("L1.nrrd", "nowhere")

    def test_images(self) -> None:
        assert find_inputs([IMAGE, IMAGE], [IMAGE, IMAGE])[1].ct is IMAGE
        assert find_inputs(IMAGE, IMAGE)[0].ct is IMAGE
        assert [each.ct for each in find_inputs([IMAGE, IMAGE], ["b.nrrd", "a.nrrd"])] == [
            Path("b.nrrd"),
            Path("a.nrrd"),
        ]
        with refused("invalid-option", "ct"):
            find_inputs([IMAGE, IMAGE], IMAGE)
