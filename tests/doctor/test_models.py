"""Where weights may lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nnunet_femur.doctor import Status
from nnunet_femur.doctor.machine import Machine
from nnunet_femur.doctor.models import encoder_places, encoders, totalsegmentator

MACHINE = Machine(platform="linux", python="3.12.1", requires_python=">=3.10")
HUB = "models--smp-hub--*/snapshots/*/*.safetensors"


@pytest.mark.parametrize(
    ("environ", "own", "hub"),
    [
        ({}, "/home/.nnfemur/encoders", "/home/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/cache"}, "/home/.nnfemur/encoders", "/cache/huggingface/hub"),
        ({"HF_HOME": "/hf", "NNFEMUR_ENCODERS": "/own"}, "/own", "/hf/hub"),
        ({"HF_HUB_CACHE": "/hub", "HF_HOME": "/hf"}, "/home/.nnfemur/encoders", "/hub"),
    ],
)
def test_encoders_are_looked_for_where_the_hub_keeps_them(environ: dict[str, str], own: str, hub: str) -> None:
    places = encoder_places(environ, Path("/home"))
    assert {place for place, _ in places} == {Path(own), Path(hub)}
    assert (Path(hub), HUB) in places


def test_encoders_that_are_here_are_counted(tmp_path: Path) -> None:
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


def test_weights_that_are_not_there_are_told_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(tmp_path))
    (finding,) = totalsegmentator(MACHINE)
    assert finding.status is Status.WARNING
    assert finding.remedy == "nnfemur weights download"
    assert str(tmp_path) in finding.message
