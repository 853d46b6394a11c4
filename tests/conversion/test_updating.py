"""Cases that are added to a dataset: patients, sets and folds stay, test patients stay out, nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.conversion import convert
from nnunet_femur.conversion.dataset_record import DatasetRecord
from nnunet_femur.conversion.updating import GivenCase, recover_dataset, update_dataset
from tests.refusing import refused


@pytest.fixture
def dataset(hospital, tmp_path):
    """Ten patients with one femur each, R101, L102, ..."""
    hospital.add_patients(10)
    return convert(hospital.folder, dataset_id=1, raw=tmp_path / "raw")


@pytest.fixture
def update(hospital, dataset):
    def run(*names: str, **options):
        given = [
            GivenCase(name, Path(f"Images/{name}_CT.nrrd"), Path(f"GoldStandard/{name}_GS.nrrd")) for name in names
        ]
        return update_dataset(dataset.folder, hospital.folder, given, **{"about": {"model": "m"}, **options})

    return run


def _assigned(folder):
    return DatasetRecord.read(folder).assigned


def _splits(folder):
    return json.loads((folder / "splits_final.json").read_text())


def _mask(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _in(dataset, set_name):
    return next(case.id for case in dataset.cases if case.set == set_name)


class TestNewCases:
    def test_join_training_and_a_fold_and_the_others_stay(self, hospital, dataset, update):
        before, folds = _assigned(dataset.folder), _splits(dataset.folder)
        hospital.add("R201", "L202")
        result = update("R201", "L202")
        after = _assigned(dataset.folder)
        assert {case: after[case] for case in before} == before
        assert sorted(result.written) == ["L202", "R201"]
        assert {after[case][1] for case in result.written} == {"train"}
        assert {after[case][2] for case in result.written} <= set(range(5))
        for old, new in zip(folds, _splits(dataset.folder), strict=True):
            assert set(old["train"]) <= set(new["train"])
            assert set(old["val"]) <= set(new["val"])
            assert not set(new["train"]) & set(new["val"])
            assert {*new["train"], *new["val"]} == {*old["train"], *old["val"], "R201", "L202"}
        assert (dataset.folder / "imagesTr" / "R201_0000.nrrd").is_file()
        assert (dataset.folder / "labelsTr" / "L202.nrrd").is_file()
        description = json.loads((dataset.folder / "dataset.json").read_text())
        assert description["numTraining"] == len(list((dataset.folder / "labelsTr").glob("*.nrrd")))

    def test_go_where_the_fold_has_the_fewest_of_their_side(self, hospital, dataset, update):
        sides = {case.id: case.side for case in dataset.cases}
        folds = {fold: [c.id for c in dataset.cases if c.fold == fold] for fold in range(5)}
        hospital.add("R201")
        update("R201")
        fold = _assigned(dataset.folder)["R201"][2]
        rights = {number: sum(sides[case] == "right" for case in cases) for number, cases in folds.items()}
        assert rights[fold] == min(rights.values())

    def test_follow_the_other_femur_of_their_patient(self, hospital, dataset, update):
        known = next(case for case in dataset.cases if case.set == "validation")
        other = f"{'L' if known.id[0] == 'R' else 'R'}{known.patient}"
        hospital.add(other)
        update(other)
        assert _assigned(dataset.folder)[other] == [known.patient, "validation", known.fold]

    def test_a_patient_of_the_test_set_stays_out(self, hospital, dataset, update):
        known = next(case for case in dataset.cases if case.set == "test")
        other = f"{'L' if known.id[0] == 'R' else 'R'}{known.patient}"
        hospital.add(other)
        before = _files(dataset.folder)
        result = update(other, known.id)
        assert set(result.left_out) == {other, known.id}
        assert {found.code for found in result.findings} == {"of-test-patient"}
        assert _files(dataset.folder) == before

    def test_a_table_names_the_patient(self, hospital, dataset, update, tmp_path):
        test, train = _in(dataset, "test"), next(case for case in dataset.cases if case.set == "train")
        hospital.add("R300", "R301")
        table = tmp_path / "patients.csv"
        table.write_text(f"case,patient\nR300,Meier\n{test},Meier\nR301,Schulz\n{train.id},Schulz\n")
        result = update("R300", "R301", patients=table)
        assert result.left_out == ("R300",)
        assert _assigned(dataset.folder)["R301"] == [train.patient, train.set, train.fold]
        assert "Meier" not in (dataset.folder / "conversion.json").read_text()
        assert "Schulz" not in (dataset.folder / "cases.csv").read_text()

    def test_a_table_may_name_the_patient_of_an_id(self, hospital, dataset, update, tmp_path):
        known = next(case for case in dataset.cases if case.set == "test")
        hospital.add("R300")
        table = tmp_path / "patients.csv"
        table.write_text(f"case,patient\nR300,0{known.patient}\n")
        assert update("R300", patients=table).left_out == ("R300",)

    def test_need_the_table_if_the_ids_of_the_dataset_do_not_show_its_patients(self, hospital, tmp_path):
        hospital.add_patients(14)
        ids = sorted(path.name.partition("_")[0] for path in (hospital.folder / "Images").iterdir())
        table, both = tmp_path / "patients.csv", tmp_path / "both.csv"
        lines = [f"{case},N-{number // 2}" for number, case in enumerate(ids)]
        table.write_text("\n".join(["case,patient", *lines]))
        dataset = convert(hospital.folder, dataset_id=2, raw=tmp_path / "raw", patients=table)
        test = _in(dataset, "test")
        of_test = next(line.partition(",")[2] for line in lines if line.startswith(f"{test},"))
        both.write_text("\n".join(["case,patient", *lines, f"R300,{of_test}", "R301,N-9"]))
        hospital.add("R300", "R301")
        given = [
            GivenCase(f"R30{n}", Path(f"Images/R30{n}_CT.nrrd"), Path(f"GoldStandard/R30{n}_GS.nrrd")) for n in (0, 1)
        ]
        with refused("invalid-option", test, "R300"):
            update_dataset(dataset.folder, hospital.folder, given, about={})
        result = update_dataset(dataset.folder, hospital.folder, given, about={}, patients=both)
        assert (result.left_out, result.written) == (("R300",), ("R301",))

    def test_of_the_same_id_stay_out(self, hospital, dataset, update):
        """Names that differ in their case only would be written to the same files."""
        hospital.add("R201", "r201", "R203")
        result = update("R201", "r201", "R203", jobs=1)
        assert (result.left_out, result.written) == (("R201",), ("R203",))
        assert "duplicate-id" in {found.code for found in result.findings}

    def test_the_ct_of_another_case_stays_out(self, hospital, dataset, update):
        first = _in(dataset, "train")
        hospital.write("Images/R400_CT.nrrd", hospital.image(first))
        hospital.write("GoldStandard/R400_GS.nrrd", hospital.mask())
        result = update("R400")
        assert [found.code for found in result.findings] == ["known-ct"]
        assert "R400" not in _assigned(dataset.folder)

    def test_a_file_that_cannot_be_read_leaves_only_its_case_out(self, hospital, dataset, update):
        hospital.add("R201", "R203")
        (hospital.folder / "GoldStandard" / "R201_GS.nrrd").write_bytes(b"NRRD0004\n")
        result = update("R201", "R203")
        assert (result.left_out, result.written) == (("R201",), ("R203",))

    def test_only_their_statuses_are_recorded(self, hospital, dataset):
        hospital.add("R201")
        given = [
            GivenCase(name, Path(f"Images/{name}_CT.nrrd"), Path(f"GoldStandard/{name}_GS.nrrd"), "accepted")
            for name in ("R201", _in(dataset, "test"))
        ]
        update_dataset(dataset.folder, hospital.folder, given, about={})
        (update,) = DatasetRecord.read(dataset.folder).updates
        assert update == {"added": ["R201"], "replaced": [], "statuses": {"R201": "accepted"}}


class TestReplacedCases:
    def test_get_the_new_mask_and_keep_their_fold(self, hospital, dataset, update):
        case, before = _in(dataset, "train"), _assigned(dataset.folder)
        mask = hospital.mask()
        mask[3, 3, 3] = 1
        hospital.write(f"GoldStandard/{case}_GS.nrrd", mask)
        result = update(case)
        assert result.written == (case,)
        assert _assigned(dataset.folder) == before
        assert _mask(dataset.folder / "labelsTr" / f"{case}.nrrd").sum() == mask.sum()
        record = json.loads((dataset.folder / "conversion.json").read_text())
        assert record["updates"] == [{"added": [], "replaced": [case], "model": "m"}]

    def test_another_ct_under_the_same_id_stays_out(self, hospital, dataset, update):
        case = _in(dataset, "train")
        hospital.write(f"Images/{case}_CT.nrrd", hospital.image("X1"))
        mask = hospital.mask()
        mask[3, 3, 3] = 1
        hospital.write(f"GoldStandard/{case}_GS.nrrd", mask)
        before = _files(dataset.folder)
        assert [found.code for found in update(case).findings] == ["other-ct"]
        assert _files(dataset.folder) == before

    def test_the_same_mask_changes_nothing(self, dataset, update):
        before = _files(dataset.folder)
        result = update(_in(dataset, "train"))
        assert result.written == ()
        assert _files(dataset.folder) == before
        assert not list(dataset.folder.parent.glob(".*"))


class TestTheDataset:
    def test_a_second_update_adds_to_the_first(self, hospital, dataset, update):
        hospital.add("R201", "L202")
        update("R201")
        first = _assigned(dataset.folder)["R201"]
        assert update("R201", "L202").written == ("L202",)
        record = DatasetRecord.read(dataset.folder)
        assert record.assigned["R201"] == first
        assert [each["added"] for each in record.updates] == [["R201"], ["L202"]]

    def test_converting_its_source_again_is_refused(self, hospital, dataset, update):
        hospital.add("R201")
        update("R201")
        with refused("edited-by-hand", dataset.folder):
            convert(hospital.folder, dataset_id=1, raw=dataset.folder.parent)

    def test_changes_by_hand_are_refused(self, hospital, dataset, update):
        hospital.add("R201")
        (dataset.folder / "cases.csv").write_text("case\n")
        with refused("edited-by-hand", dataset.folder):
            update("R201")

    def test_a_dry_run_writes_nothing(self, hospital, dataset, update):
        hospital.add("R201")
        before = _files(dataset.folder)
        result = update("R201", dry_run=True)
        assert result.dry_run
        assert "R201" in {case.id for case in result.cases}
        assert _files(dataset.folder) == before

    def test_a_dataset_of_a_run_that_was_killed_between_two_renames_is_found(self, hospital, dataset, update):
        raw, before = dataset.folder.parent, _files(dataset.folder)
        dataset.folder.rename(raw / f".{dataset.folder.name}.previous")
        recover_dataset(raw, 2)
        assert not dataset.folder.exists()
        recover_dataset(raw, 1)
        assert _files(dataset.folder) == before

    def test_another_folder_is_refused(self, hospital, tmp_path):
        with refused("no-dataset", tmp_path):
            update_dataset(tmp_path, hospital.folder, [], about={})

    def test_an_update_that_is_killed_leaves_the_dataset_as_it_was(self, hospital, dataset, update, monkeypatch):
        from nnunet_femur.conversion.staging import Staging

        hospital.add("R201")
        before = _files(dataset.folder)

        def killed(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Staging, "publish", killed)
            with pytest.raises(KeyboardInterrupt):
                update("R201")
        assert _files(dataset.folder) == before
        update("R201")
        assert "R201" in _assigned(dataset.folder)


def test_masks_with_sides_and_segments_are_read(hospital, dataset, update):
    """Values 1 to 3, as nnfemur predict --sides writes them."""
    hospital.add("R201")
    mask = hospital.mask()
    mask[mask > 0] = 2
    mask[1] *= 1
    mask[3, 4, 3] = 3
    hospital.write("GoldStandard/R201_GS.nrrd", mask)
    assert update("R201").written == ("R201",)
    written = _mask(dataset.folder / "labelsTr" / "R201.nrrd")
    assert written.sum() == (mask > 0).sum()
    assert np.unique(written).tolist() == [0, 1]
