"""Files that interrupted runs have left beside a dataset."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nnunet_femur.conversion import convert
from nnunet_femur.conversion.staging import locked, recover
from tests.refusing import refused


class TestRecover:
    def test_killed_between_the_two_renames_the_old_dataset_comes_back(self, hospital, raw, tree):
        dataset = convert(hospital.add_patients().folder, dataset_id=1, raw=raw).folder
        before = tree(dataset)
        dataset.rename(raw / ".Dataset001_Femur.previous")
        (hospital.folder / "Images/L101_CT.nrrd").unlink()
        with refused("bad-cases", "GoldStandard/L101_GS.nrrd"):
            convert(hospital.folder, dataset_id=1, raw=raw)
        assert tree(raw).keys() - before.keys() - {f"Dataset001_Femur/{name}" for name in before} == {
            "findings_Dataset001_Femur.csv"
        }
        assert tree(dataset) == before

    def test_killed_after_them_the_new_one_stays(self, tmp_path):
        for name in ("Dataset001_Femur", ".Dataset001_Femur.previous", ".Dataset001_Femur.discarded"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_text(name)
        recover(tmp_path / "Dataset001_Femur")
        assert [path.name for path in tmp_path.iterdir()] == ["Dataset001_Femur"]
        assert (tmp_path / "Dataset001_Femur" / "file").read_text() == "Dataset001_Femur"


class TestLocked:
    def test_by_one_at_a_time(self, tmp_path):
        with locked(tmp_path / "Dataset001_Femur"):
            with refused("locked", tmp_path / "Dataset001_Femur"), locked(tmp_path / "Dataset001_Femur"):
                pass
            with locked(tmp_path / "Dataset002_Femur"):
                pass
        with locked(tmp_path / "Dataset001_Femur"):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_not_by_a_process_that_was_killed(self, tmp_path):
        code = (
            "import os, pathlib, sys; from nnunet_femur.conversion.staging import locked\n"
            "with locked(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "Dataset001_Femur")], check=False)
        assert [path.name for path in tmp_path.iterdir()] == [".Dataset001_Femur.lock"]
        with locked(tmp_path / "Dataset001_Femur"):
            pass
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("error", [NotImplementedError(), OSError(37, "No locks available")], ids=repr)
    def test_where_the_disk_has_no_locks(self, tmp_path, monkeypatch, error):
        def acquire(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("filelock.FileLock.acquire", acquire)
        with locked(tmp_path / "Dataset001_Femur"):
            pass


class TestLeftovers:
    @pytest.fixture
    def started(self, hospital, raw):
        """A staging folder with five finished cases; the sixth was unusable and has been repaired since."""
        hospital.add_patients()
        hospital.write("GoldStandard/R106_GS.nrrd", hospital.mask() * 0)
        with refused("bad-cases", "R106"):
            convert(hospital.folder, dataset_id=1, raw=raw)
        hospital.write("GoldStandard/R106_GS.nrrd", hospital.mask())
        return raw / ".Dataset001_Femur.partial"

    def test_of_another_seed_and_of_killed_writers(self, hospital, raw, started, tree, tmp_path):
        (started / "cases" / ".L999_0000.partial.nrrd").write_text("half")
        for seed in (1, 2):
            expected = tree(convert(hospital.folder, dataset_id=1, raw=tmp_path / str(seed), seed=seed).folder)
            outcome = convert(hospital.folder, dataset_id=1, raw=raw, seed=seed)
            assert outcome.written == (("R106",) if seed == 1 else ())
            assert tree(outcome.folder) == expected

    def test_damaged_since(self, hospital, raw, started, tree, tmp_path):
        path = started / "cases" / "L101_0000.nrrd"
        path.write_bytes(path.read_bytes()[:-1])
        (started / "finished" / "R102.json").write_text('{"case": "R102"}')
        outcome = convert(hospital.folder, dataset_id=1, raw=raw)
        assert outcome.written == ("L101", "R102", "R106")
        assert tree(outcome.folder) == tree(convert(hospital.folder, dataset_id=1, raw=tmp_path / "other").folder)

    def test_not_needed_any_more(self, hospital, raw):
        convert(hospital.add_patients().folder, dataset_id=1, raw=raw)
        hospital.write("GoldStandard/R106_GS.nrrd", hospital.mask() * 0)
        with refused("bad-cases", "R106"):
            convert(hospital.folder, dataset_id=1, raw=raw)
        hospital.write("GoldStandard/R106_GS.nrrd", hospital.mask())
        assert convert(hospital.folder, dataset_id=1, raw=raw).written == ()
        assert [path.name for path in raw.iterdir()] == ["Dataset001_Femur"]

    def test_killed_while_files_were_put_in_their_places(self, hospital, raw, started, tree, tmp_path):
        (started / "imagesTr").mkdir()
        (started / "cases" / "L101_0000.nrrd").rename(started / "imagesTr" / "L101_0000.nrrd")
        outcome = convert(hospital.folder, dataset_id=1, raw=raw)
        assert outcome.written == ("R106",)
        assert tree(outcome.folder) == tree(convert(hospital.folder, dataset_id=1, raw=tmp_path / "other").folder)


class TestLinks:
    """Nothing is written or removed where a link leads."""

    @pytest.mark.parametrize("link", [".partial", ".discarded", ".lock", ".partial/cases", ".partial/imagesTr"])
    def test_beside_the_dataset(self, hospital, raw, tmp_path, link):
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "precious").write_text("mine")
        path = raw / f".Dataset001_Femur{link}"
        path.parent.mkdir(parents=True)
        path.symlink_to(elsewhere / "precious" if link == ".lock" else elsewhere)
        dataset = convert(hospital.add_patients().folder, dataset_id=1, raw=raw).folder
        assert [(path.name, path.read_text()) for path in elsewhere.iterdir()] == [("precious", "mine")]
        assert list(raw.iterdir()) == [dataset]
        assert not any(path.is_symlink() for path in dataset.rglob("*"))

    def test_reused_files_do_not_hang_together_with_a_dataset_that_is_copied(self, hospital, raw, tmp_path):
        """Cases are linked from the dataset that is replaced, which is gone afterwards."""
        dataset = convert(hospital.add_patients().folder, dataset_id=1, raw=raw).folder
        convert(hospital.folder, dataset_id=1, raw=raw, seed=1)
        assert {path.stat().st_nlink for path in dataset.rglob("*.nrrd")} == {1}
