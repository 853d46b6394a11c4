"""A raw dataset: found by number, opened by folder, its files and patients listed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nnunet_femur.dataset.folds import Fold
from nnunet_femur.dataset.raw import RawDataset, image_file, mask_file
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "femur": 1}, "file_ending": ".nii.gz"}


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset of three cases, one for testing; files of no case beside them."""
    made = tmp_path / "Dataset003_Femur"
    for case, part in (("a", "training"), ("b", "training"), ("c", "test")):
        _touch(made / image_file(case, part, ending=".nii.gz"))
        _touch(made / mask_file(case, part, ending=".nii.gz"))
    for name in ("labelsTr/.hidden.nii.gz", "labelsTr/notes.txt", "imagesTr/a_0001.nii.gz"):
        _touch(made / name)
    (made / "dataset.json").write_text(json.dumps(DESCRIPTION), encoding="utf-8")
    (made / "cases.csv").write_text("case,patient,fold\na,P1,0\nb,P2,1\n", encoding="utf-8")
    return made


class TestOpen:
    def test_describes_the_dataset(self, folder: Path) -> None:
        dataset = RawDataset.open(str(folder))
        assert dataset.name == "Dataset003_Femur"
        assert dataset.file_ending == ".nii.gz"
        assert dataset.labels == {"background": 0, "femur": 1}
        assert dataset.channels == {"0": "CT"}
        assert repr(dataset) == f"RawDataset({folder}: 2 training cases, 1 test cases)"

    @pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"file_ending": 3}', b"\xff\xfe"])
    def test_refuses_without_a_description(self, folder: Path, content: str | bytes | None) -> None:
        path = folder / "dataset.json"
        path.unlink()
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with refused("invalid-dataset", path):
            RawDataset.open(folder)

    @pytest.mark.parametrize(("key", "name"), [("labels", "labels"), ("channel_names", "channels")])
    @pytest.mark.parametrize("value", [None, ["femur"]])
    def test_refuses_what_it_lacks_when_it_is_asked_for(self, folder: Path, key: str, name: str, value: Any) -> None:
        (folder / "dataset.json").write_text(json.dumps(DESCRIPTION | {key: value}), encoding="utf-8")
        dataset = RawDataset.open(folder)
        with refused("invalid-dataset", folder / "dataset.json", key):
            getattr(dataset, name)


class TestFind:
    def test_by_number(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert RawDataset.find(3, raw=str(folder.parent)).folder == folder
        monkeypatch.setenv("nnUNet_raw", str(folder.parent))
        assert RawDataset.find(3).folder == folder

    def test_refuses_no_and_several(self, folder: Path) -> None:
        with refused("no-dataset", folder.parent, "004"):
            RawDataset.find(4, raw=folder.parent)
        (folder.parent / "Dataset003_Other").mkdir()
        with refused("no-dataset", "Dataset003_Femur", "Dataset003_Other"):
            RawDataset.find(3, raw=folder.parent)

    def test_needs_a_raw_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("nnUNet_raw", raising=False)
        with refused("environment", "nnUNet_raw"):
            RawDataset.find(3)


class TestFiles:
    def test_by_part(self, folder: Path) -> None:
        dataset = RawDataset.open(folder)
        assert dataset.masks() == {case: folder / f"labelsTr/{case}.nii.gz" for case in "ab"}
        assert dataset.images() == {case: folder / f"imagesTr/{case}_0000.nii.gz" for case in "ab"}
        assert dataset.masks("test") == {"c": folder / "labelsTs/c.nii.gz"}
        assert dataset.images("test") == {"c": folder / "imagesTs/c_0000.nii.gz"}
        assert dataset.cases() == ["a", "b"]

    def test_of_a_case(self, folder: Path) -> None:
        dataset = RawDataset.open(folder)
        assert dataset.mask("c", "test") == folder / "labelsTs/c.nii.gz"
        assert dataset.image("a", channel=1) == folder / "imagesTr/a_0001.nii.gz"
        assert [path.name for path in dataset.channel_files("a")] == ["a_0000.nii.gz", "a_0001.nii.gz"]
        assert dataset.channel_files("missing") == []

    def test_without_folders(self, tmp_path: Path) -> None:
        dataset = RawDataset(tmp_path, DESCRIPTION)
        assert dataset.cases() == dataset.cases("test") == []


class TestPatients:
    def test_from_the_table(self, folder: Path) -> None:
        dataset = RawDataset.open(folder)
        assert dataset.patients() == {"a": "P1", "b": "P2"}
        assert dataset.patient("a") == "P1"
        assert dataset.patient("c") == "c"
        assert [row["fold"] for row in dataset.case_rows()] == ["0", "1"]

    def test_without_a_table(self, folder: Path) -> None:
        (folder / "cases.csv").unlink()
        assert RawDataset.open(folder).patients() == {}

    @pytest.mark.parametrize(
        "content", [b"case,fold\na,0\n", b"case,patient\na\n", b"case,patient\n\xff,b\n", b'a\n"a']
    )
    def test_refuses_a_damaged_table(self, folder: Path, content: bytes) -> None:
        (folder / "cases.csv").write_bytes(content)
        with refused("invalid-file", folder / "cases.csv"):
            RawDataset.open(folder).patients()


def test_folds_are_checked_against_the_cases(folder: Path, tmp_path: Path) -> None:
    dataset = RawDataset.open(folder)
    (folder / "splits_final.json").write_text('[{"train": ["a"], "val": ["b"]}]', encoding="utf-8")
    other = tmp_path / "other.json"
    other.write_text('[{"train": ["a"], "val": ["c"]}]', encoding="utf-8")
    assert dataset.folds() == [Fold(("a",), ("b",))]
    with refused("invalid-folds", other):
        dataset.folds(other)
