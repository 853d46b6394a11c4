"""One exam in several cases: the same files, or the same voxels in another format and order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion import convert
from nnunet_femur.conversion.case_record import CaseRecord
from nnunet_femur.conversion.cases import Case
from nnunet_femur.conversion.checks.duplicates import fingerprint, same_files, same_voxels
from tests.refusing import refused

IMAGE, MASK = "Images/{}_CT.nrrd", "GoldStandard/{}_GS.nrrd"


def _case(name: str, *, patient: str = "", image: str = IMAGE, masks: tuple[str, ...] = (MASK,)) -> Case:
    files = (Path(mask.format(name)) for mask in masks)
    return Case(name, patient or name[1:], "unknown", Path(image.format(name)), tuple(files))


def _record(case: str, image: str, mask: str) -> CaseRecord:
    contents = {"image": image, "mask": mask} if image else {}
    return CaseRecord(case, "left", {}, {}, "", "", "", "", (1, 1, 1), (1.0, 1.0, 1.0), 1.0, {}, (), contents)


class TestSameFiles:
    def test_different_cases_have_nothing_in_common(self, hospital):
        hospital.add("L442", "L443")
        cases = (_case("L442"), _case("L443"))
        found = same_files(hospital.folder, cases)
        assert (found.cases, found.warnings, found.errors) == (cases, (), {})

    def test_copies_under_two_patients_become_one_patient(self, hospital):
        hospital.add("L442", "R442", "L443", "L444")
        for name in (IMAGE, MASK):
            shutil.copy(hospital.folder / name.format("R442"), hospital.folder / name.format("L444"))
        found = same_files(hospital.folder, [_case(name) for name in ("L442", "L443", "L444", "R442")])
        assert [case.patient for case in found.cases] == ["444", "443", "444", "444"]
        (warning,) = found.warnings
        assert (warning.code, warning.file) == ("same-exam", IMAGE.format("L444"))
        assert "R442" in warning.problem
        assert found.errors == {}

    def test_one_ct_with_other_masks_is_an_error_of_every_case(self, hospital):
        hospital.add("L442", "R442", "L443")
        hospital.write(MASK.format("R442"), hospital.mask()[:, :, ::-1])
        cases = [_case("L442"), _case("R442", image=IMAGE.format("L442")), _case("L443")]
        found = same_files(hospital.folder, cases)
        assert set(found.errors) == {"L442", "R442"}
        assert {error.code for errors in found.errors.values() for error in errors} == {"ct-twice"}

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
    def test_masks_are_compared_by_voxels(self, hospital, dtype):
        hospital.add("L442", "R442")
        hospital.write(MASK.format("R442"), hospital.mask(dtype=dtype) * dtype(3))
        found = same_files(hospital.folder, [_case("L442"), _case("R442", image=IMAGE.format("L442"))])
        assert [warning.code for warning in found.warnings] == ["same-exam"]
        assert found.errors == {}

    def test_files_of_a_size_of_their_own_are_not_read(self, hospital, monkeypatch):
        hospital.add("L442", "L443")
        hospital.write(IMAGE.format("L443"), hospital.image()[:4])
        monkeypatch.setattr(
            "nnunet_femur.conversion.checks.duplicates.digest", lambda path: pytest.fail(f"{path} was read")
        )
        assert same_files(hospital.folder, [_case("L442"), _case("L443")]).warnings == ()

    def test_a_missing_file_is_left_to_the_checks_of_headers(self, hospital):
        found = same_files(hospital.folder, [_case("L442"), _case("L443")])
        assert (found.warnings, found.errors) == ((), {})


class TestSameVoxels:
    def test_by_the_records(self):
        cases = [_case(name) for name in ("L1", "L2", "L3", "L4", "L5")]
        records = [
            _record("L1", "a", "m"),
            _record("L2", "b", "m"),
            _record("L3", "a", "m"),
            _record("L4", "", ""),
            _record("L5", "", ""),
        ]
        found = same_voxels(cases, records)
        assert [case.patient for case in found.cases] == ["1", "2", "1", "4", "5"]
        assert [warning.code for warning in found.warnings] == ["same-exam"]
        assert set(same_voxels(cases, [*records[:2], _record("L3", "a", "n")]).errors) == {"L1", "L3"}

    def test_patients_of_a_chain_of_copies_become_one(self):
        cases = [_case("L1"), _case("L2"), _case("R2"), _case("R3")]
        records = [_record("L1", "a", "m"), _record("L2", "a", "m"), _record("R2", "b", "m"), _record("R3", "b", "m")]
        assert {case.patient for case in same_voxels(cases, records).cases} == {"1"}

    def test_fingerprint(self):
        volume = np.random.default_rng(0).integers(-1000, 1000, (150, 120, 130)).astype(np.int16)
        assert fingerprint(volume) == fingerprint(volume.copy())
        assert fingerprint(volume) == fingerprint(np.asfortranarray(volume))
        for other in (volume + np.int16(1), volume[::-1], volume[:-1], volume.astype(np.int32)):
            assert fingerprint(other) != fingerprint(volume)


class TestConversion:
    """The same exam as NIfTI, in another order of axes and with other padding: no file is equal."""

    @pytest.fixture
    def source(self, hospital):
        hospital.add_patients(7)
        source = sitk.ReadImage(str(hospital.folder / IMAGE.format("L101")))
        other = sitk.DICOMOrient(source, "RAS")
        (hospital.folder / IMAGE.format("L107")).unlink()
        sitk.WriteImage(other, str(hospital.folder / "Images/L107_CT.nii.gz"))
        return hospital

    def _convert(self, source, raw, **options):
        return convert(source.folder, dataset_id=1, raw=raw, layout="pairs", **options)

    def test_equal_masks_stay_together(self, source, raw):
        for outcome in (self._convert(source, raw, dry_run=True), self._convert(source, raw)):
            assert outcome.usable
            codes = [finding.code for finding in outcome.findings]
            assert codes.count("same-exam") == 1
        record = json.loads((outcome.folder / "conversion.json").read_text())
        of_case = {case["case"]: case for case in record["cases"]}
        assert of_case["L101"]["patient"] == of_case["L107"]["patient"]
        assert (of_case["L101"]["set"], of_case["L101"]["fold"]) == (of_case["L107"]["set"], of_case["L107"]["fold"])
        assert len({case["patient"] for case in record["cases"]}) == 6
        again = self._convert(source, raw)
        assert len(again.reused) == 7

    def test_other_masks_stop_the_conversion(self, source, raw):
        source.write(MASK.format("L107"), source.mask()[:, :, ::-1])
        assert not self._convert(source, raw, dry_run=True).usable
        with refused("bad-cases", "L101", "L107"):
            self._convert(source, raw)
        assert not list(raw.glob("Dataset*"))

    def test_too_few_patients_are_left(self, source, raw):
        (source.folder / IMAGE.format("R102")).unlink()
        (source.folder / MASK.format("R102")).unlink()
        outcome = self._convert(source, raw, dry_run=True)
        assert not outcome.usable
        assert "split" in [finding.code for finding in outcome.findings]
        with refused("too-few-patients", 5, "L101_CT.nrrd: ", "L107"):
            self._convert(source, raw)
