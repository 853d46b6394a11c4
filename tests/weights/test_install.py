"""Models from an archive or a folder are installed completely or not at all."""

from __future__ import annotations

import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from nnunet_femur.weights import (
    crop_entry,
    femur_entry,
    find_crop_model,
    find_model,
    install_folder,
    install_zip,
    verify,
)
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestZip:
    def test_brings_the_models_in(self, archive: Path, no_weights: Path, dummy_weights: Path) -> None:
        installed = install_zip(archive)
        assert installed == [no_weights / femur_entry().dataset, no_weights / crop_entry().dataset]
        for folder in installed:
            assert _files(folder) == _files(dummy_weights / folder.name)
        assert verify() == []
        assert {path.name for path in no_weights.iterdir()} == {folder.name for folder in installed}

    def test_installed_models_stay(self, archive: Path, weights: Path) -> None:
        mark = find_model().folder / "mine.txt"
        mark.write_text("mine")
        install_zip(archive)
        assert mark.read_text() == "mine"

    def test_replaces_what_an_interruption_left(self, archive: Path, no_weights: Path) -> None:
        (no_weights / femur_entry().folder).mkdir(parents=True)
        (no_weights / ".nnfemur.partial" / "old").mkdir(parents=True)
        install_zip(archive)
        assert find_model().is_dummy
        assert not (no_weights / ".nnfemur.partial").exists()

    @pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:/evil.txt"])
    def test_names_that_lead_out_are_refused(self, name: str, archive: Path, no_weights: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr(zipfile.ZipInfo(name), "evil")
        with refused("unsafe-archive", archive):
            install_zip(archive)
        assert not list(tmp_path.rglob("*evil*"))
        assert not no_weights.exists()

    def test_links_are_refused(self, archive: Path, no_weights: Path) -> None:
        link = zipfile.ZipInfo(f"{femur_entry().dataset}/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr(link, "/etc")
        with refused("unsafe-archive", archive):
            install_zip(archive)
        assert not no_weights.exists()

    def test_incomplete_model_is_not_put_in_place(self, no_weights: Path, tmp_path: Path) -> None:
        path = tmp_path / "half.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(f"{femur_entry().folder}/plans.json", "{}")
        with refused("invalid-weights", "checkpoint_final.pth"):
            install_zip(path)
        assert list(no_weights.iterdir()) == []

    def test_damaged_archive(self, archive: Path, no_weights: Path) -> None:
        content = bytearray(archive.read_bytes())
        place = content.find(b"network_weights")
        content[place : place + 15] = b"n" * 15
        archive.write_bytes(bytes(content))
        with refused("unreadable", archive):
            install_zip(archive)
        assert not (no_weights / femur_entry().dataset).exists()

    def test_other_files(self, tmp_path: Path, no_weights: Path) -> None:
        path = tmp_path / "a.zip"
        with refused("not-found", path):
            install_zip(path)
        path.write_text("text")
        with refused("unreadable", path):
            install_zip(path)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("Dataset291_TotalSegmentator_part1_organs_1559subj/plans.json", "{}")
        with refused("no-weights", path):
            install_zip(path)


class TestFolder:
    def test_copies_another_weights_folder(self, dummy_weights: Path, no_weights: Path) -> None:
        assert len(install_folder(dummy_weights)) == 3
        assert find_model(fast=True).is_dummy
        assert find_crop_model().is_dummy

    def test_copies_one_model(self, dummy_weights: Path, no_weights: Path) -> None:
        dataset = femur_entry().dataset
        assert install_folder(dummy_weights / dataset) == [no_weights / dataset]
        assert find_model().is_dummy

    def test_other_folder(self, tmp_path: Path, no_weights: Path) -> None:
        with refused("no-weights", tmp_path):
            install_folder(tmp_path)

    def test_place_that_cannot_be_written(
        self, dummy_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("no folder")
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path / "file"))
        with refused("cannot-write", tmp_path / "file"):
            install_folder(dummy_weights)


class TestVerify:
    def test_finds_nothing_wrong(self, weights: Path) -> None:
        assert verify() == []
        assert verify(fast=True) == []

    def test_missing_models_are_named(self, no_weights: Path) -> None:
        assert [each.dataset for each in verify()] == [femur_entry().dataset, crop_entry().dataset]

    def test_damaged_checkpoint(self, weights: Path) -> None:
        find_model().checkpoint.write_bytes(b"nothing")
        assert [each.dataset for each in verify()] == [femur_entry().dataset]

    def test_weights_of_another_model(self, weights: Path) -> None:
        find_model().checkpoint.write_bytes(find_crop_model().checkpoint.read_bytes())
        problems = " ".join(each.problem for each in verify())
        assert "decoder.seg_layers" in problems
        assert "118" in problems
        assert "nnUNetTrainer_4000epochs_NoMirroring" in problems

    def test_plans_without_a_network(self, weights: Path) -> None:
        path = find_model().folder / "plans.json"
        path.write_text(path.read_text().replace("UNet_base_num_features", "something"))
        assert "UNet_base_num_features" in verify()[0].problem
