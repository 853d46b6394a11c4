"""Checkpoints are loaded without running what is in them."""

from __future__ import annotations

import os
import shutil
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from nnunet_femur.weights import load_checkpoint
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path


class _Malicious:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def _checkpoint(**more: object) -> dict[str, object]:
    return {"network_weights": {"layer": torch.arange(6.0).reshape(2, 3)}, "trainer_name": "nnUNetTrainer", **more}


def _save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def _as_if_saved_on_cuda(path: Path, target: Path) -> Path:
    """Change the location of the storages in the pickle, as if a machine with CUDA had saved the checkpoint."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as out:
        for member in source.infolist():
            content = source.read(member)
            if member.filename.endswith("data.pkl"):
                cpu, cuda = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
                assert content.count(cpu) == 1
                content = content.replace(cpu, cuda)
            out.writestr(member, content)
    return target


def test_dummy_weights_load_whole(dummy_weights: Path) -> None:
    path = next(dummy_weights.glob("Dataset294*/*/fold_0/checkpoint_final.pth"))
    ours, theirs = load_checkpoint(path), torch.load(path, map_location="cpu", weights_only=False)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours["network_weights"][key], value) for key, value in theirs["network_weights"].items())


def test_numpys_scalars_of_nnunets_logging_are_allowed(tmp_path: Path) -> None:
    logging = {"lrs": [np.float64(0.5), np.float32(0.25), np.float16(1), np.int32(3), np.int64(4), np.bool_(True)]}
    assert load_checkpoint(_save(tmp_path / "a.pth", _checkpoint(logging=logging)))["logging"] == logging


def test_names_of_numpy_1_are_allowed(tmp_path: Path) -> None:
    path = _save(tmp_path / "new.pth", _checkpoint(best=np.float64(0.5)))
    old = tmp_path / "old.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(old, "w") as out:
        for member in source.infolist():
            content = source.read(member)
            if member.filename.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            out.writestr(member, content)
    assert load_checkpoint(old)["best"] == 0.5


class TestMalicious:
    def test_is_refused_and_not_run(self, tmp_path: Path) -> None:
        made = tmp_path / "made"
        path = _save(tmp_path / "bad.pth", _checkpoint(extra=_Malicious(made)))
        with refused("unsafe-checkpoint", path, f"{os.name}.mkdir"):
            load_checkpoint(path)
        assert not made.exists()
        torch.load(path, weights_only=False)
        assert made.is_dir(), "the file contains no code, so this test proves nothing"

    def test_pickle_of_old_format_too(self, tmp_path: Path) -> None:
        made = tmp_path / "made"
        path = tmp_path / "bad.pth"
        torch.save(_checkpoint(extra=_Malicious(made)), path, _use_new_zipfile_serialization=False)
        with refused("unsafe-checkpoint", path, f"{os.name}.mkdir"):
            load_checkpoint(path)
        assert not made.exists()

    def test_whole_modules_are_refused(self, tmp_path: Path) -> None:
        path = _save(tmp_path / "module.pth", _checkpoint(network=torch.nn.Linear(1, 1)))
        with refused("unsafe-checkpoint", path, "torch.nn"):
            load_checkpoint(path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the storages would be on the CUDA device")
def test_cpu_loads_what_cuda_saved(tmp_path: Path) -> None:
    path = _as_if_saved_on_cuda(_save(tmp_path / "cpu.pth", _checkpoint()), tmp_path / "cuda.pth")
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(path, weights_only=True)
    loaded = load_checkpoint(path)["network_weights"]["layer"]
    assert loaded.device.type == "cpu"
    assert torch.equal(loaded, torch.arange(6.0).reshape(2, 3))


class TestNoCheckpoint:
    def test_missing(self, tmp_path: Path) -> None:
        with refused("no-weights", tmp_path / "none.pth"):
            load_checkpoint(tmp_path / "none.pth")

    @pytest.mark.parametrize("content", [b"", b"text, no checkpoint", b"PK\x03\x04 half a zip"])
    def test_other_files(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "a.pth"
        path.write_bytes(content)
        with refused("invalid-weights", path):
            load_checkpoint(path)

    def test_truncated(self, dummy_weights: Path, tmp_path: Path) -> None:
        path = tmp_path / "a.pth"
        shutil.copy(next(dummy_weights.glob("Dataset294*/*/fold_0/checkpoint_final.pth")), path)
        path.write_bytes(path.read_bytes()[:-2000])
        with refused("invalid-weights", path):
            load_checkpoint(path)

    def test_bare_weights(self, tmp_path: Path) -> None:
        with refused("invalid-weights", "network_weights"):
            load_checkpoint(_save(tmp_path / "a.pth", {"layer": torch.zeros(1)}))
