"""Cases of a prediction folder: files found, masks checked as they are now, the worst first."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import SimpleITK as sitk

from nnunet_femur.imaging.sources import Source
from nnunet_femur.prediction.results import CaseResult
from nnunet_femur.reviewing.reviewed_cases import check_case, find_reviewed, worst_first
from tests.refusing import refused
from tests.reviewing.conftest import write_predictions, write_segmentation

if TYPE_CHECKING:
    from pathlib import Path


def test_masks_cts_and_failures_are_found(predicted: Path) -> None:
    found = {each.case: each for each in find_reviewed(predicted)}
    assert list(found) == ["L801", "L802", "L803"]
    assert found["L801"].mask == predicted / "L801.seg.nrrd"
    assert found["L801"].ct == predicted.parent / "cts" / "L801.nrrd"
    assert found["L803"].mask is None
    mark = found["L801"].mark(predicted)
    assert (mark.ct, mark.mark) == ("../cts/L801.nrrd", "")


def test_the_segmentation_is_preferred_and_uncertainty_is_no_mask(predicted: Path) -> None:
    shutil.copy(predicted / "L801.seg.nrrd", predicted / "L801.nrrd")
    shutil.copy(predicted / "L801.seg.nrrd", predicted / "L801_uncertainty.nrrd")
    found = {each.case: each for each in find_reviewed(predicted)}
    assert found["L801"].mask == predicted / "L801.seg.nrrd"
    assert found["L801"].uncertainty == predicted / "L801_uncertainty.nrrd"
    assert "L801_uncertainty" not in found


def test_a_relative_ct_is_found_from_another_folder(predicted: Path, monkeypatch) -> None:
    write_predictions(predicted, [CaseResult("L801", "cts/L801.nrrd")])
    monkeypatch.chdir("/")
    found = {each.case: each for each in find_reviewed(predicted)}
    assert found["L801"].ct == predicted.parent / "cts" / "L801.nrrd"


def test_a_ct_of_another_folder_with_the_same_path_is_not_taken(predicted: Path, tmp_path: Path, monkeypatch) -> None:
    ct = predicted.parent / "cts" / "L801.nrrd"
    other = tmp_path / "other" / "cts" / "L801.nrrd"
    other.parent.mkdir(parents=True)
    other.write_bytes(ct.read_bytes() + b"of another patient")
    monkeypatch.chdir(other.parents[1])
    write_predictions(predicted, [CaseResult("L801", "cts/L801.nrrd", Source("L801", ct).state())])
    assert {each.case: each.ct for each in find_reviewed(predicted)}["L801"] == ct
    ct.unlink()
    assert {each.case: each.ct for each in find_reviewed(predicted)}["L801"] is None


def test_cts_can_be_given(predicted: Path) -> None:
    (predicted / "predictions.json").unlink()
    assert {each.ct for each in find_reviewed(predicted)} == {None}
    found = find_reviewed(predicted, [predicted.parent / "cts"])
    assert [each.ct.name for each in found] == ["L801.nrrd", "L802.nrrd"]


def test_folders_without_masks_are_refused(tmp_path: Path) -> None:
    with refused("not-found", tmp_path / "none"):
        find_reviewed(tmp_path / "none")
    with refused("no-predictions", tmp_path):
        find_reviewed(tmp_path)


def test_the_worst_is_first(predicted: Path) -> None:
    checked = [check_case(each) for each in find_reviewed(predicted)]
    assert [each.found.case for each in worst_first(checked)] == ["L803", "L802", "L801"]
    scores = {each.found.case: each.score for each in checked}
    assert scores["L803"] == 1.0
    assert scores["L801"] < scores["L802"]
    (gap,) = [each for each in checked if each.found.case == "L802"]
    assert "pieces" in {code for code, _ in gap.doubts}


def test_a_corrected_mask_is_checked_anew(predicted: Path) -> None:
    ct = sitk.ReadImage(str(predicted.parent / "cts" / "L802.nrrd"))
    good = sitk.GetArrayFromImage(sitk.ReadImage(str(predicted / "L801.seg.nrrd")))
    write_segmentation(predicted / "L802.seg.nrrd", good, ct)
    (checked,) = [check_case(each) for each in find_reviewed(predicted) if each.case == "L802"]
    assert "pieces" not in {code for code, _ in checked.doubts}


def test_codes_of_the_prediction_are_kept(predicted: Path) -> None:
    result = CaseResult("L801", str(predicted.parent / "cts" / "L801.nrrd"), findings=("metal", "pieces"))
    write_predictions(predicted, [result])
    (checked,) = [check_case(each) for each in find_reviewed(predicted) if each.case == "L801"]
    codes = {code for code, _ in checked.doubts}
    assert "metal" in codes  # of the CT, which is not checked again
    assert "pieces" not in codes  # of the mask, which is


def test_disagreement_counts(predicted: Path) -> None:
    (case,) = [each for each in find_reviewed(predicted) if each.case == "L801"]
    before = check_case(case).score
    write_predictions(predicted, [CaseResult("L801", str(case.ct), disagreement=0.4)])
    (case,) = [each for each in find_reviewed(predicted) if each.case == "L801"]
    after = check_case(case).score
    assert after == 1 - (1 - before) * 0.6


def test_a_ct_on_another_grid_is_a_problem_and_the_mask_is_shown(predicted: Path) -> None:
    path = predicted.parent / "cts" / "L801.nrrd"
    image = sitk.ReadImage(str(path))
    image.SetSpacing((9.0, 9.0, 9.0))
    sitk.WriteImage(image, str(path))
    (checked,) = [check_case(each) for each in find_reviewed(predicted) if each.case == "L801"]
    assert checked.ct is None
    assert checked.has_mask
    assert str(path) in checked.problem


def test_measurements_out_of_range_come_first(predicted: Path) -> None:
    (checked,) = [check_case(each) for each in find_reviewed(predicted) if each.case == "L801"]
    rows = checked.measured()
    assert rows
    assert [row["outside"] for row in rows] == sorted((row["outside"] for row in rows), reverse=True)
    for row in rows:
        assert row["outside"] == (not row["low"] <= row["value"] <= row["high"])
