"""Finding a model, its folds and its labels; unsafe archives."""

from __future__ import annotations

import json
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from nnunet_femur import archives
from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL
from nnunet_femur.prediction.trained_model import femur_labels, find_model, opened_model
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

NAME = "Trainer__nnUNetPlans__3d_fullres"


def _model(folder: Path, *, folds: tuple[str, ...] = ("0", "1"), name: str = NAME) -> Path:
    model = folder / "Dataset001_Femur" / name
    for fold in folds:
        (model / f"fold_{fold}").mkdir(parents=True)
        (model / f"fold_{fold}" / CHECKPOINT_FINAL).write_bytes(b"weights of fold " + fold.encode())
    (model / "plans.json").write_text(json.dumps({"dataset_name": "Dataset001_Femur"}))
    (model / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "femur": 1}}))
    return model


class TestFindModel:
    def test_takes_all_folds_that_are_trained(self, tmp_path: Path) -> None:
        folder = _model(tmp_path, folds=("0", "1", "all"))
        (folder / "fold_2").mkdir()
        found = find_model(folder)
        assert found.folds == ("0", "1")
        assert found.checkpoints == (folder / "fold_0" / CHECKPOINT_FINAL, folder / "fold_1" / CHECKPOINT_FINAL)
        assert find_model(folder, folds=("all",)).folds == ("all",)

    @pytest.mark.parametrize("up", [0, 1, 2])
    def test_finds_the_only_model_further_down(self, tmp_path: Path, up: int) -> None:
        folder = _model(tmp_path / "results")
        assert find_model([folder, *folder.parents][up]).folder == folder

    def test_the_folder_of_a_fold_selects_that_fold(self, tmp_path: Path) -> None:
        assert find_model(_model(tmp_path) / "fold_1").folds == ("1",)

    def test_of_two_models_none_is_chosen(self, tmp_path: Path) -> None:
        _model(tmp_path)
        _model(tmp_path, name="Other__nnUNetPlans__2d")
        with refused("invalid-option", NAME, "Other__nnUNetPlans__2d"):
            find_model(tmp_path)

    @pytest.mark.parametrize("given", ["nowhere", ""])
    def test_a_folder_without_a_model(self, tmp_path: Path, given: str) -> None:
        with refused("no-model", tmp_path / given):
            find_model(tmp_path / given)

    def test_a_fold_that_is_not_trained(self, tmp_path: Path) -> None:
        with refused("no-model", "fold 4", "0, 1"):
            find_model(_model(tmp_path), folds=("4",))

    def test_a_training_that_has_not_ended(self, tmp_path: Path) -> None:
        folder = _model(tmp_path, folds=("0",))
        (folder / "fold_0" / CHECKPOINT_FINAL).rename(folder / "fold_0" / "checkpoint_best.pth")
        with refused("no-model", "checkpoint_best.pth"):
            find_model(folder)
        assert find_model(folder, checkpoint="checkpoint_best.pth").folds == ("0",)

    def test_a_damaged_description(self, tmp_path: Path) -> None:
        folder = _model(tmp_path)
        (folder / "dataset.json").write_text("{")
        with refused("invalid-model", folder):
            find_model(folder)

    def test_the_digest_is_of_the_content(self, tmp_path: Path) -> None:
        one, same = (find_model(_model(tmp_path / name)) for name in ("a", "b"))
        assert one.digest() == same.digest()
        assert one.digest() != find_model(one.folder, folds=("0",)).digest()
        same.checkpoints[0].write_bytes(b"others")
        assert one.digest() != same.digest()


class TestArchive:
    def _zip(self, tmp_path: Path) -> Path:
        folder = _model(tmp_path / "results")
        with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
            for file in folder.rglob("*"):
                if file.is_file():
                    archive.write(file, file.relative_to(tmp_path / "results"))
            archive.writestr("Dataset001_Femur/picture.png", b"not needed")
        return tmp_path / "model.zip"

    def test_is_the_same_model(self, tmp_path: Path) -> None:
        with opened_model(self._zip(tmp_path)) as found:
            assert found.folder.name == NAME
            assert found.folds == ("0", "1")
            assert found.digest() == find_model(tmp_path / "results").digest()
            assert not list(found.folder.parent.glob("*.png"))
            unpacked = found.folder
        assert not unpacked.exists()

    @pytest.mark.parametrize("name", ["../out.json", "/out.json", "a/../../out.json", "C:\\out.json", "..\\out.json"])
    def test_that_leads_outside_is_refused(self, tmp_path: Path, name: str) -> None:
        path = self._zip(tmp_path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, "{}")
        (tmp_path / "in").mkdir()
        with refused("unsafe-archive", path, repr(name)):
            archives.unpack(path, tmp_path / "in")
        assert not list((tmp_path / "in").iterdir())

    def test_with_a_link_is_refused(self, tmp_path: Path) -> None:
        path = self._zip(tmp_path)
        link = zipfile.ZipInfo("Dataset001_Femur/link.json")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(link, "/etc/passwd")
        with refused("unsafe-archive", path, "link.json"), opened_model(path):
            pass

    def test_that_is_damaged_is_refused(self, tmp_path: Path) -> None:
        path = self._zip(tmp_path)
        content = bytearray(path.read_bytes())
        place = content.index(b"weights of fold")
        content[place : place + 4] = b"haha"
        path.write_bytes(bytes(content))
        with refused("unreadable", path), opened_model(path):
            pass

    def test_that_does_not_fit_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = self._zip(tmp_path)
        usage = type("Usage", (), {"free": 10})
        monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: usage)
        with refused("cannot-write", path), opened_model(path):
            pass

    def test_that_is_none_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.zip").write_bytes(b"not a zip")
        with refused("no-model", "model.zip"), opened_model(tmp_path / "model.zip"):
            pass


class TestFemurLabels:
    def test_are_found_by_name(self) -> None:
        assert femur_labels({"background": 0, "hip": 1, "femur_left": 7, "femur_right": 8}) == (7, 8)
        assert femur_labels({"background": 0, "bone": 1}) == (1,)
        assert femur_labels({"background": 0, "whole femur": [1, 2], "head": [2]}) == (1, 2)

    def test_are_those_asked_for(self) -> None:
        assert femur_labels({"background": 0, "femur_left": 7, "femur_right": 8}, ("femur_left",)) == (7,)

    @pytest.mark.parametrize(("wanted", "code"), [((), "invalid-model"), (("knee",), "invalid-option")])
    def test_that_do_not_exist_are_refused(self, wanted: tuple[str, ...], code: str) -> None:
        with refused(code, "hip", "tibia"):
            femur_labels({"background": 0, "hip": 1, "tibia": 2, "ignore": 3}, wanted)
