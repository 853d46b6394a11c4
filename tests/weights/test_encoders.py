"""Folders that may contain encoder weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_femur.weights.encoders import HUB_PATTERN, encoder_places, encoders_folder


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
    assert (Path(hub), HUB_PATTERN) in places
    assert encoders_folder(environ, Path("/home")) == Path(own)


@pytest.mark.parametrize("changed", [{}, {"XDG_CACHE_HOME": "/cache"}, {"HF_HOME": "/hf"}, {"HF_HUB_CACHE": "/hub"}])
def test_the_hub_itself_keeps_them_there(changed: dict[str, str]) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))} | changed
    code = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    printed = subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True)
    assert Path(printed.stdout.strip()) in [place for place, _ in encoder_places(environ, Path.home())]


def test_a_tilde_is_the_home() -> None:
    assert encoders_folder({"NNFEMUR_ENCODERS": "~/weights"}) == Path.home() / "weights"
