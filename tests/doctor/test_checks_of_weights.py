"""Checks of weights on a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnunet_femur.doctor import Status
from nnunet_femur.doctor.checks import encoders, totalsegmentator
from nnunet_femur.doctor.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MACHINE = Machine(platform="linux", python="3.12.1", requires_python=">=3.10")


def test_encoders_are_counted(tmp_path: Path) -> None:
    machine = replace(MACHINE, environ={"NNFEMUR_ENCODERS": str(tmp_path), "HF_HUB_CACHE": str(tmp_path)})
    (none,) = encoders(machine)
    assert none.status is Status.NOTE
    cached = tmp_path / "models--smp-hub--resnet34.imagenet" / "snapshots" / "1" / "model.safetensors"
    cached.parent.mkdir(parents=True)
    cached.touch()
    (tmp_path / "resnet50.safetensors").touch()
    (found,) = encoders(machine)
    assert found.status is Status.OK
    assert "2 file(s)" in found.message


def test_missing_weights_have_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    (finding,) = totalsegmentator(MACHINE)
    assert finding.status is Status.WARNING
    assert finding.remedy == "nnfemur weights download"
    assert str(tmp_path) in finding.message
