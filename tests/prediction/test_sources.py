"""Which CTs a user means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.errors import InputError
from nnunet_femur.prediction.sources import Source, find_sources
from nnunet_femur.volumes import VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _write(path: Path, array: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16) if array is None else array), str(path))
    return path


def test_names_are_those_of_the_files(tmp_path: Path, write_slices: Callable) -> None:
    _write(tmp_path / "in" / "L1_0000.nii.gz")
    _write(tmp_path / "in" / "L2.nrrd")
    _write(tmp_path / "in" / "L2.seg.nrrd")
    (tmp_path / "in" / "notes.txt").write_text("no volume")
    write_slices(tmp_path / "in" / "series 3", np.zeros((3, 4, 5), np.int16))
    (tmp_path / "in" / "empty").mkdir()
    found = find_sources([tmp_path / "in"])
    assert [source.case for source in found] == ["L1", "L2", "series 3"]
    assert find_sources([tmp_path / "in" / "series 3"])[0].case == "series 3"
    assert find_sources([tmp_path / "in", tmp_path / "in" / "L2.nrrd"]) == found, "each once"


def test_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [_write(tmp_path / name / "ct.nrrd") for name in ("anna", "berta")]
    assert [source.case for source in find_sources(paths)] == ["anna_ct", "berta_ct"]
    with pytest.raises(InputError, match="would have one name"):
        find_sources([_write(tmp_path / "anna" / "ct.nii.gz"), paths[0]])


@pytest.mark.parametrize(("name", "message"), [("nowhere", "no such file"), ("empty", "holds no CT")])
def test_what_is_not_there_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        find_sources([tmp_path / name])


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "ct.nrrd", np.full((3, 4, 5), np.nan, np.float32))
    with pytest.raises(VolumeError, match="no number"):
        Source("ct", path).read()


def test_another_file_is_another_state(tmp_path: Path) -> None:
    source = Source("ct", _write(tmp_path / "ct.nrrd"))
    before = source.state()
    assert source.state() == before
    _write(tmp_path / "ct.nrrd", np.ones((9, 9, 9), np.int16))
    assert source.state() != before
