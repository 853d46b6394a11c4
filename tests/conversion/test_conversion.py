"""Conversion: written files, errors, and further runs on the same dataset."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion import ConversionOptions, convert
from nnunet_femur.conversion.staging import locked
from tests.refusing import names, refused

if TYPE_CHECKING:
    from pathlib import Path

NNFEMUR = (sys.executable, "-m", "nnunet_femur")


def _rows(dataset: Path) -> dict[str, dict[str, str]]:
    with (dataset / "cases.csv").open(newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def _json(path: Path):
    return json.loads(path.read_text())


def _nothing_written(raw: Path) -> bool:
    return not raw.exists() or {path.name for path in raw.iterdir()} <= {"findings_Dataset001_Femur.csv"}


class TestDataset:
    def test_the_studys_forty(self, hospital, raw):
        hospital.add(*(f"{'LR'[number % 2]}{number:03d}" for number in range(1, 41)))
        dataset = convert(hospital.folder, dataset_id=1, raw=raw).folder
        assert dataset == raw / "Dataset001_Femur"
        assert {path.name: len(list(path.iterdir())) for path in dataset.iterdir() if path.is_dir()} == {
            "imagesTr": 32,
            "labelsTr": 32,
            "imagesTs": 8,
            "labelsTs": 8,
        }
        rows = _rows(dataset)
        sets = [(row["set"], row["side"]) for row in rows.values()]
        assert {key: sets.count(key) for key in set(sets)} == {
            ("train", "left"): 12,
            ("train", "right"): 12,
            ("validation", "left"): 4,
            ("validation", "right"): 4,
            ("test", "left"): 4,
            ("test", "right"): 4,
        }
        folds = _json(dataset / "splits_final.json")
        assert [len(fold["val"]) for fold in folds] == [7, 7, 6, 6, 6, 8]
        for number, fold in enumerate(folds[:5]):
            assert fold["val"] == sorted(case for case, row in rows.items() if row["fold"] == str(number))
        assert folds[5]["val"] == sorted(case for case, row in rows.items() if row["set"] == "validation")
        assert {path.name for path in (dataset / "imagesTs").iterdir()} == {
            f"{case}_0000.nrrd" for case, row in rows.items() if row["set"] == "test" and row["fold"] == ""
        }
        assert _json(dataset / "dataset.json") == {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "femur": 1},
            "numTraining": 32,
            "file_ending": ".nrrd",
            "overwrite_image_reader_writer": "SimpleITKIOWithReorient",
        }

    def test_a_row_and_a_record_per_case(self, hospital, raw):
        hospital.add_patients()
        hospital.write("GoldStandard/L101_GS.nrrd", hospital.mask() * 2)
        dataset = convert(hospital.folder, dataset_id=7, name="Tiny", raw=raw).folder
        row = _rows(dataset)["L101"]
        assert (row["patient"], row["side"]) == ("101", "left")
        assert (row["source_image"], row["source_mask"]) == ("Images/L101_CT.nrrd", "GoldStandard/L101_GS.nrrd")
        assert (row["size"], row["spacing_mm"], row["volume_ml"]) == ("7 6 5", "20 21 60", "478.800")
        assert row["notes"].startswith("mask-label-2 (note): ")
        record = next(case for case in _json(dataset / "conversion.json")["cases"] if case["case"] == "L101")
        assert [finding["code"] for finding in record["findings"]] == ["mask-label-2"]
        assert record["stored"]["direction"] == [1, 0, 0, 0, 1, 0, 0, 0, 1]
        assert len(record["sources"]["image"]["sha256"]) == 64

    def test_written_volumes_are_whole_and_anonymous(self, hospital, raw):
        hospital.add_patients()
        image = sitk.ReadImage(str(hospital.folder / "Images/L101_CT.nrrd"))
        image.SetMetaData("PatientName", "Somebody")
        sitk.WriteImage(image, str(hospital.folder / "Images/L101_CT.nrrd"))
        dataset = convert(hospital.folder, dataset_id=1, raw=raw).folder
        (path,) = dataset.glob("images*/L101_0000.nrrd")
        written = sitk.ReadImage(str(path))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(written, "LPS")), hospital.image("L101"))
        header = path.read_bytes().partition(b"\n\n")[0].decode()
        assert "encoding: gzip" in header
        assert "Somebody" not in header

    def test_both_femurs_of_a_patient_stay_together(self, hospital, raw):
        hospital.add(*(f"{side}{number}" for number in range(1, 9) for side in "LR"))
        rows = _rows(convert(hospital.folder, dataset_id=1, raw=raw).folder)
        for number in range(1, 9):
            left, right = rows[f"L{number}"], rows[f"R{number}"]
            assert (left["set"], left["fold"]) == (right["set"], right["fold"])

    def test_the_same_input_gives_the_same_bytes_anywhere(self, hospital, raw, tmp_path, tree):
        hospital.add_patients()
        first = convert(hospital.folder, dataset_id=1, raw=raw).folder
        moved = hospital.folder.rename(tmp_path / "elsewhere")
        second = convert(moved, dataset_id=1, raw=tmp_path / "other_raw").folder
        assert tree(first) == tree(second)


class TestStops:
    def test_one_message_lists_all_errors_of_headers(self, hospital, raw):
        hospital.add_patients(8)
        (hospital.folder / "Images/L101_CT.nrrd").unlink()
        (hospital.folder / "GoldStandard/R102_GS.nrrd").unlink()
        (hospital.folder / "Images/L103_CT.nrrd").write_bytes(b"no volume")
        hospital.write("GoldStandard/R104_GS.nrrd", hospital.mask(), origin=(0, 0, 0))
        with refused("bad-cases") as caught:
            convert(hospital.folder, dataset_id=1, raw=raw)
        first, *problems = str(caught.value).splitlines()
        assert names(first, hospital.folder, "4 problems")
        assert [problem.strip().partition(":")[0] for problem in problems[:4]] == [
            "Images/R102_CT.nrrd",
            "GoldStandard/L101_GS.nrrd",
            "Images/L103_CT.nrrd",
            "GoldStandard/R104_GS.nrrd",
        ]
        assert _nothing_written(raw)

    def test_errors_in_voxels_stop_and_the_next_run_continues(self, hospital, raw, tree, tmp_path):
        hospital.add_patients()
        path = hospital.folder / "Images/L103_CT.nrrd"
        whole = path.read_bytes()
        path.write_bytes(whole[:-30])
        hospital.write("GoldStandard/R104_GS.nrrd", hospital.mask() * 0)
        with refused("bad-cases", "Images/L103_CT.nrrd: ", "GoldStandard/R104_GS.nrrd: "):
            convert(hospital.folder, dataset_id=1, raw=raw)
        assert [path.name for path in raw.glob("[!.]*")] == ["findings_Dataset001_Femur.csv"]

        path.write_bytes(whole)
        hospital.write("GoldStandard/R104_GS.nrrd", hospital.mask())
        outcome = convert(hospital.folder, dataset_id=1, raw=raw)
        assert outcome.written == ("L103", "R104")
        assert [path.name for path in raw.iterdir()] == ["Dataset001_Femur"]
        assert tree(outcome.folder) == tree(convert(hospital.folder, dataset_id=1, raw=tmp_path / "other").folder)

    def test_too_few_patients(self, hospital, raw):
        with refused("too-few-patients", 6, 5):
            convert(hospital.add_patients(5).folder, dataset_id=1, raw=raw)
        assert _nothing_written(raw)

    @pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "Fe mur"])
    def test_a_name_that_is_not_a_folder_name(self, hospital, raw, name):
        with refused("invalid-name", repr(name)):
            convert(hospital.folder, dataset_id=1, name=name, raw=raw)

    @pytest.mark.parametrize("number", [0, 1000, -1])
    def test_a_number_that_nnunet_does_not_take(self, hospital, raw, number):
        with refused("invalid-option", 999, number):
            convert(hospital.folder, dataset_id=number, raw=raw)

    def test_a_raw_folder_that_cannot_be_made(self, hospital, tmp_path):
        (tmp_path / "file").write_text("")
        with refused("cannot-write", tmp_path / "file"):
            convert(hospital.add_patients().folder, dataset_id=1, raw=tmp_path / "file" / "raw")


class TestPlaceTaken:
    def test_another_name_with_the_same_number(self, hospital, raw):
        (raw / "Dataset001_Liver").mkdir(parents=True)
        with refused("exists", raw / "Dataset001_Liver"):
            convert(hospital.add_patients().folder, dataset_id=1, raw=raw)

    @pytest.mark.parametrize("record", [None, "{}", "[]", "no json", '{"made_by": "somebody"}'])
    def test_a_dataset_of_others(self, hospital, raw, record):
        (raw / "Dataset001_Femur").mkdir(parents=True)
        if record is not None:
            (raw / "Dataset001_Femur" / "conversion.json").write_text(record)
        with refused("exists", raw / "Dataset001_Femur"):
            convert(hospital.add_patients().folder, dataset_id=1, raw=raw)

    def test_another_process_converts_it(self, hospital, raw):
        raw.mkdir()
        with locked(raw / "Dataset001_Femur"), refused("locked", raw / "Dataset001_Femur"):
            convert(hospital.add_patients().folder, dataset_id=1, raw=raw)
        assert _nothing_written(raw)


class TestSecondRun:
    @pytest.fixture
    def dataset(self, hospital, raw) -> Path:
        return convert(hospital.add_patients(8).folder, dataset_id=1, raw=raw).folder

    def _again(self, hospital, raw, **changes):
        return convert(hospital.folder, dataset_id=1, raw=raw, **changes)

    def _times(self, dataset):
        return {path: path.stat().st_mtime_ns for path in [dataset, *dataset.rglob("*")]}

    def test_nothing_to_do(self, hospital, raw, dataset, capsys):
        before = self._times(dataset)
        outcome = self._again(hospital, raw)
        assert self._times(dataset) == before
        assert (outcome.written, len(outcome.reused)) == ((), 8)
        outcome.print()
        assert capsys.readouterr().out.splitlines()[-1] == outcome.summary()

    def test_a_changed_file_is_converted_again_and_no_other(self, hospital, raw, dataset, tree, tmp_path):
        hospital.write("Images/L103_CT.nrrd", hospital.image("L103") + 1)
        outcome = self._again(hospital, raw)
        assert outcome.written == ("L103",)
        assert tree(dataset) == tree(convert(hospital.folder, dataset_id=1, raw=tmp_path / "other").folder)
        assert [path.name for path in raw.iterdir()] == [dataset.name]

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_another_seed_moves_files_and_converts_nothing(self, hospital, raw, dataset, tree, tmp_path, seed):
        outcome = self._again(hospital, raw, seed=seed)
        assert outcome.written == ()
        expected = convert(hospital.folder, dataset_id=1, raw=tmp_path / "other", seed=seed).folder
        assert tree(dataset) == tree(expected)

    def test_a_case_taken_out(self, hospital, raw, dataset, tree, tmp_path):
        for path in hospital.folder.glob("*/R108*"):
            path.unlink()
        assert self._again(hospital, raw).written == ()
        assert tree(dataset) == tree(convert(hospital.folder, dataset_id=1, raw=tmp_path / "other").folder)

    def test_a_lost_file_is_written_again(self, hospital, raw, dataset, tree):
        before = tree(dataset)
        (path,) = dataset.glob("labels*/L101.nrrd")
        path.unlink()
        assert self._again(hospital, raw).written == ("L101",)
        assert tree(dataset) == before

    def test_errors_leave_the_dataset_as_it_was(self, hospital, raw, dataset, tree):
        before = tree(raw)
        hospital.write("GoldStandard/L101_GS.nrrd", hospital.mask() * 0)
        with refused("bad-cases", "GoldStandard/L101_GS.nrrd"):
            self._again(hospital, raw)
        assert {
            name: content for name, content in tree(raw).items() if not name.startswith((".", "findings_"))
        } == before

    @pytest.mark.parametrize("edit", ["added", "changed"])
    def test_work_done_by_hand_is_not_lost(self, hospital, raw, dataset, edit):
        path = dataset / ("notes.txt" if edit == "added" else "splits_final.json")
        path.write_text("mine")
        assert self._again(hospital, raw).written == ()
        with refused("edited-by-hand", dataset, path.name):
            self._again(hospital, raw, seed=1)
        assert path.read_text() == "mine"


class TestDryRun:
    def test_all_findings_are_reported_and_nothing_is_written(self, hospital, raw, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "300")
        hospital.add_patients(8)
        (hospital.folder / "Images/L101_CT.nrrd").unlink()
        hospital.write("GoldStandard/R102_GS.nrrd", hospital.mask(), origin=(9000, 0, 0))
        path = hospital.folder / "Images/L103_CT.nrrd"
        path.write_bytes(path.read_bytes()[:-30])
        hospital.write("GoldStandard/R104_GS.nrrd", hospital.mask() * 0)
        hospital.write("GoldStandard/L105_GS.nrrd", hospital.mask() * 2)
        outcome = convert(hospital.folder, dataset_id=1, raw=raw, dry_run=True)
        assert not raw.exists()
        assert not outcome.usable
        assert (outcome.cases, outcome.split) == ((), None)
        files = {finding.file: finding for finding in outcome.findings}
        assert {name for name, finding in files.items() if finding.severity.value == "error"} == {
            "GoldStandard/L101_GS.nrrd",
            "GoldStandard/R102_GS.nrrd",
            "Images/L103_CT.nrrd",
            "GoldStandard/R104_GS.nrrd",
        }
        assert files["GoldStandard/L105_GS.nrrd"].code == "mask-label-2"
        outcome.print()
        printed = capsys.readouterr().out
        assert all(f"{finding.file}" in printed and finding.code in printed for finding in files.values())
        assert outcome.summary() in printed

    def test_the_split_it_shows_is_the_one_that_is_made(self, hospital, raw):
        hospital.add_patients(8)
        shown = convert(hospital.folder, dataset_id=1, raw=raw, seed=3, dry_run=True)
        assert not raw.exists()
        assert convert(hospital.folder, dataset_id=1, raw=raw, seed=3).split == shown.split

    def test_too_few_patients_is_a_finding(self, hospital, raw):
        hospital.add_patients(5)
        outcome = convert(hospital.folder, dataset_id=1, raw=raw, dry_run=True)
        assert [f.code for f in outcome.findings if f.severity.value == "error"] == ["split"]
        assert "6" in outcome.findings[-1].problem


class TestJobs:
    def test_two_processes_make_the_same_bytes(self, hospital, raw, tree, tmp_path):
        hospital.add_patients(8)
        one = convert(hospital.folder, dataset_id=1, raw=raw).folder
        two = convert(hospital.folder, dataset_id=1, raw=tmp_path / "two", jobs=2).folder
        assert tree(one) == tree(two)

    def test_errors_come_in_the_order_of_the_cases(self, hospital, raw):
        hospital.add_patients()
        for case in ("R106", "L101", "L103"):
            hospital.write(f"GoldStandard/{case}_GS.nrrd", hospital.mask() * 0)
        with refused("bad-cases") as caught:
            convert(hospital.folder, dataset_id=1, raw=raw, jobs=2)
        assert [line.partition("_GS")[0].strip() for line in str(caught.value).splitlines()[1:4]] == [
            f"GoldStandard/{case}" for case in ("L101", "L103", "R106")
        ]


class TestSplits:
    def test_volumes_decide(self, hospital, raw):
        """Six femurs of each size and side: a third of the test set each."""
        for number in range(1, 31):
            case = f"{'RL'[number % 2]}{100 + number}"
            hospital.write(f"Images/{case}_CT.nrrd", hospital.image(case))
            mask = hospital.mask()
            mask[1 : 1 + number % 3, 1, 1:5] = 1
            hospital.write(f"GoldStandard/{case}_GS.nrrd", mask)
        rows = _rows(convert(hospital.folder, dataset_id=1, raw=raw).folder)
        volumes = sorted(row["volume_ml"] for row in rows.values() if row["set"] == "test")
        assert len(volumes) == 6
        assert {volume: volumes.count(volume) for volume in volumes}.keys() == {r["volume_ml"] for r in rows.values()}
        assert max(volumes.count(volume) for volume in volumes) == 2

    def test_a_given_test_set_and_a_table_of_patients(self, hospital, raw, tmp_path):
        hospital.add_patients(10)
        (tmp_path / "test.txt").write_text("L101\nR102\nL103\n")
        names = [f"{'RL'[n % 2]}{100 + n}" for n in range(1, 11)]
        of = {**{name: f"Name {name}" for name in names}, "R102": "Name L101"}
        rows = "".join(f"{case},{name}\n" for case, name in of.items())
        (tmp_path / "patients.csv").write_text(f"case,patient\n{rows}")
        options = {"patients": tmp_path / "patients.csv", "test_ids": tmp_path / "test.txt"}
        dataset = convert(hospital.folder, dataset_id=1, raw=raw, **options).folder
        rows = _rows(dataset)
        assert {case for case, row in rows.items() if row["set"] == "test"} == {"L101", "R102", "L103"}
        assert rows["L101"]["patient"] == rows["R102"]["patient"] == "P-L101"
        assert _json(dataset / "conversion.json")["given_sets"] == 3
        for path in dataset.rglob("*"):
            assert path.is_dir() or b"Name " not in path.read_bytes()
        outcome = convert(hospital.folder, dataset_id=1, raw=raw, **options)
        assert outcome.written == ()
        # Without them it is another dataset, of the same files.
        outcome = convert(hospital.folder, dataset_id=1, raw=raw)
        assert outcome.written == ()
        assert _rows(dataset)["R102"]["patient"] == "102"


class TestOptions:
    def test_another_option_about_voxels_converts_again(self, hospital, raw, tree, tmp_path):
        hospital.add_patients()
        array = hospital.image("L101")
        array[:, 0] = -3024
        hospital.write("Images/L101_CT.nrrd", array)
        dataset = convert(hospital.folder, dataset_id=1, raw=raw).folder
        kept = ConversionOptions(padding_hu=None)
        outcome = convert(hospital.folder, dataset_id=1, raw=raw, options=kept)
        assert len(outcome.written) == 6
        expected = convert(hospital.folder, dataset_id=1, raw=tmp_path / "other", options=kept).folder
        assert tree(dataset) == tree(expected)

    def test_naming_the_layout_that_was_found_converts_nothing(self, hospital, raw):
        convert(hospital.add_patients().folder, dataset_id=1, raw=raw)
        named = ConversionOptions(layout="pairs")
        assert convert(hospital.folder, dataset_id=1, raw=raw, options=named).written == ()


class TestCommandLine:
    def _run(self, hospital, raw, *arguments):
        return subprocess.run(
            [*NNFEMUR, "convert", str(hospital.folder), *arguments],
            env={**os.environ, "nnUNet_raw": str(raw)},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_success_ends_with_the_dataset(self, hospital, raw):
        done = self._run(hospital.add_patients(), raw, "--dataset-id", "1")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == str(raw / "Dataset001_Femur")
        assert "validation" in done.stdout

    def test_an_error_is_a_message_and_status_1(self, hospital, raw):
        hospital.add_patients()
        (hospital.folder / "Images/L101_CT.nrrd").unlink()
        done = self._run(hospital, raw, "--dataset-id", "1")
        assert done.returncode == 1
        assert "GoldStandard/L101_GS.nrrd: " in done.stderr
        assert "Traceback" not in done.stderr
        assert _nothing_written(raw)
