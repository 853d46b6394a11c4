"""Marks as references: accepted and corrected masks join the dataset, with their origin; all others stay out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

import nnunet_femur as nf
from nnunet_femur.cli import app
from nnunet_femur.prediction.review_record import write_marks
from nnunet_femur.reviewing import waiting_cases
from nnunet_femur.reviewing.reviewed_cases import find_reviewed
from nnunet_femur.testing import write_phantoms
from tests.refusing import refused
from tests.reviewing.conftest import SMALL, write_segmentation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_phantoms(tmp_path / "source", cases=6, seed=3, **SMALL)
    nf.convert(tmp_path / "source", dataset_id=1, raw=tmp_path / "raw")
    return tmp_path / "raw"


def _mark(folder: Path, **marks: str) -> None:
    listed = [each.mark(folder) for each in find_reviewed(folder)]
    write_marks(folder, [replace(each, mark=marks.get(each.case, "")) for each in listed])


def _correct(folder: Path, case: str) -> None:
    """Close the gap, as in 3D Slicer."""
    image = sitk.ReadImage(str(folder / f"{case}.seg.nrrd"))
    mask = sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(image, (0, 0, 4)))
    write_segmentation(folder / f"{case}.seg.nrrd", mask, image)


def test_accepted_and_corrected_masks_are_added(predicted: Path, raw: Path) -> None:
    _mark(predicted, L801="accept", L802="correct")
    _correct(predicted, "L802")
    assert waiting_cases(predicted).keys() == {"L803"}
    result = nf.add_corrected(predicted, dataset_id=1, raw=raw)
    assert result.written == ("L801", "L802")
    assert {case.set for case in result.cases if case.id in result.written} == {"train"}
    (update,) = json.loads((result.folder / "conversion.json").read_text())["updates"]
    assert update["statuses"] == {"L801": "accepted", "L802": "corrected"}
    assert update["model"] == {"name": "M", "folds": ["0"], "sha256": "5e"}
    assert str(predicted.parent) not in (result.folder / "conversion.json").read_text()
    for case in result.written:
        image, mask = result.volumes[case].read()
        given = sitk.GetArrayFromImage(sitk.ReadImage(str(predicted / f"{case}.seg.nrrd")))
        assert sitk.GetArrayFromImage(mask).sum() == given.sum()
        assert image.GetSize() == mask.GetSize()
    assert nf.add_corrected(predicted, dataset_id=1, raw=raw).written == ()


def test_masks_that_wait_are_left_out(predicted: Path, raw: Path) -> None:
    _mark(predicted, L801="accept", L802="correct")
    _correct(predicted, "L801")
    with refused("no-cases", predicted / "review.json", "1 changed", "1 to correct"):
        nf.add_corrected(predicted, dataset_id=1, raw=raw)
    _mark(predicted, L801="reject")
    with refused("no-cases", "1 rejected"):
        nf.add_corrected(predicted, dataset_id=1, raw=raw)


def test_missing_files_are_named(predicted: Path, raw: Path) -> None:
    with refused("not-found", predicted / "review.json"):
        nf.add_corrected(predicted, dataset_id=1, raw=raw)
    _mark(predicted, L801="accept")
    (predicted.parent / "cts" / "L801.nrrd").unlink()
    with refused("not-found", "L801"):
        nf.add_corrected(predicted, dataset_id=1, raw=raw)
    with refused("invalid-option", "jobs"):
        nf.add_corrected(predicted, dataset_id=1, raw=raw, jobs=0)


class TestCommand:
    def test_adds_and_lists_what_waits(self, predicted: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("nnUNet_raw", str(raw))
        _mark(predicted, L801="accept", L802="correct")
        result = CliRunner().invoke(app, ["convert", "--update", "1", "--corrected", str(predicted)])
        assert result.exit_code == 0, result.output
        assert "L802: not used." in result.output
        assert (raw / "Dataset001_Femur" / "labelsTr" / "L801.nrrd").is_file()

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--update", "1"],
            ["--corrected", "out"],
            ["source", "--update", "1", "--corrected", "out"],
            ["--update", "1", "--corrected", "out", "--seed", "3"],
            ["source"],
            ["--dataset-id", "1"],
        ],
    )
    def test_refuses_other_combinations(self, arguments: list[str]) -> None:
        assert CliRunner().invoke(app, ["convert", *arguments]).exit_code == 2
