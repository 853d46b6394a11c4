"""The folder of an export: its files and checksums, what it replaces, and what a failed check leaves."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from written_files import EXPORTED, fields_of

import nnunet_femur as nf
from nnunet_femur.model_export import TARGETS, exporting, stock_target
from nnunet_femur.model_export.targets import target_of
from tests.refusing import names, refused

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

pytestmark = pytest.mark.usefixtures("in_this_process")


class TestFolder:
    @pytest.fixture
    def exported(self, finetuned: Path, tmp_path: Path) -> nf.ExportedModel:
        return nf.export(finetuned, tmp_path / "new" / "shared")

    def test_files(self, exported: nf.ExportedModel) -> None:
        assert sorted(path.name for path in exported.folder.parent.iterdir()) == ["shared"], "nothing else is left"
        archive = "Dataset001_Femur__nnUNetTrainer__FemurFinetune_nnUNetPlans__3d_fullres.zip"
        assert [str(path) for path in exported.files] == [archive, "MODEL_CARD.md", "SHA256SUMS", "parity.json"]
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=exported.folder, check=True)
        assert len((exported.folder / "SHA256SUMS").read_text().splitlines()) == 3

    def test_record(self, exported: nf.ExportedModel, finetuned: Path) -> None:
        record = json.loads((exported.folder / "parity.json").read_text())
        assert list(record) == fields_of(EXPORTED, "parity.json")
        assert record["target"] == "nnunet"
        assert record["model"]["trainer"] == "FemurFinetuneTrainer"
        assert record["parity"]["femur_found"]
        fold = record["parity"]["folds"]["0"]
        assert fold["femur_voxels"] == fold["exported_voxels"] == exported.parity.femur_voxels > 100
        assert fold["differing_voxels"] == 0
        assert str(finetuned) not in json.dumps(record), "paths of this machine"

    def test_is_replaced_only_on_request(self, exported: nf.ExportedModel, finetuned: Path) -> None:
        (exported.folder / "old.txt").touch()
        with refused("exists", exported.folder):
            nf.export(finetuned, exported.folder)
        assert (exported.folder / "old.txt").exists()
        again = nf.export(finetuned, exported.folder, overwrite=True)
        assert again.files == exported.files

    def test_another_folder_is_never_replaced(self, finetuned: Path, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "cat.jpg").touch()
        with refused("exists", tmp_path / "photos"):
            nf.export(finetuned, tmp_path / "photos", overwrite=True)
        assert (tmp_path / "photos" / "cat.jpg").exists()


class TestFailure:
    def test_scores_are_read_before_the_check(
        self, finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stock_target, "_run", lambda request: pytest.fail("the check has run"))
        with refused("unreadable", "nowhere.csv"):
            nf.export(finetuned, tmp_path / "shared", scores=tmp_path / "nowhere.csv")
        assert list(tmp_path.iterdir()) == []

    def test_a_ct_that_cannot_be_read(self, finetuned: Path, tmp_path: Path) -> None:
        with refused("unreadable", "nowhere.nrrd"):
            nf.export(finetuned, tmp_path / "shared", ct=tmp_path / "nowhere.nrrd")
        assert list(tmp_path.iterdir()) == []

    def test_masks_that_differ(self, finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One voxel of about 200 is more than rounding."""
        right = stock_target.StockTarget.masks

        def wrong(self: Any, *arguments: Any, **options: Any) -> list[np.ndarray]:
            (mask,) = right(self, *arguments, **options)
            mask[0, 0, 0] ^= True
            return [mask]

        monkeypatch.setattr(stock_target.StockTarget, "masks", wrong)
        with refused("export-differs", "1 voxels", "fold 0"):
            nf.export(finetuned, tmp_path / "shared")
        assert list(tmp_path.iterdir()) == []

    def test_a_predictor_that_fails(self, finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stock_target, "_run", lambda request: (1, "many lines\nKeyError: architecture"))
        with refused("program-failed", "KeyError: architecture"):
            nf.export(finetuned, tmp_path / "shared")
        assert list(tmp_path.iterdir()) == []

    def test_remains_of_a_killed_run_are_removed(self, finetuned: Path, tmp_path: Path) -> None:
        (tmp_path / ".shared.partial").mkdir()
        (tmp_path / ".shared.partial" / "half.zip").touch()
        nf.export(finetuned, tmp_path / "shared")
        assert [path.name for path in tmp_path.iterdir()] == ["shared"]

    def test_a_replacement_that_fails_is_undone(
        self, finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exported = nf.export(finetuned, tmp_path / "shared")
        (exported.folder / "old.txt").touch()

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(exporting, "rename_flushed", fail)
        with refused("cannot-write", "No space left"):
            nf.export(finetuned, exported.folder, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["shared"]
        assert (exported.folder / "old.txt").is_file()

    def test_an_interrupted_replacement_is_undone(self, finetuned: Path, tmp_path: Path) -> None:
        """Killed between two renames: the earlier export is put back, so it needs --overwrite again."""
        exported = nf.export(finetuned, tmp_path / "shared")
        exported.folder.rename(tmp_path / ".shared.previous")
        with refused("exists", tmp_path / "shared"):
            nf.export(finetuned, tmp_path / "shared")
        assert (tmp_path / "shared" / "parity.json").is_file()


def test_unknown_target(finetuned: Path, tmp_path: Path) -> None:
    with refused("invalid-option", "tensorflow", *TARGETS):
        nf.export(finetuned, tmp_path / "shared", to="tensorflow")


@pytest.mark.parametrize("name", TARGETS)
def test_targets_have_their_names(name: str) -> None:
    assert target_of(name).name == name


def test_command(finetuned: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from nnunet_femur.cli import app

    result = CliRunner().invoke(app, ["export", str(finetuned), "-o", str(tmp_path / "shared")])
    assert result.exit_code == 0, result.output
    assert names(result.output.replace("\n", ""), "MODEL_CARD.md", "0 of ")
    assert (tmp_path / "shared" / exporting.SUMS).is_file()
