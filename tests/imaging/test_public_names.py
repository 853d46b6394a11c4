"""The public names of the package are loaded when they are used, and documented by examples."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from nnunet_femur import imaging


@pytest.mark.parametrize("name", imaging.__all__)
def test_every_name_exists_and_has_an_example(name: str) -> None:
    found = getattr(imaging, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert ">>>" in (inspect.getdoc(found) or "")
    assert name in dir(imaging)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(imaging, "no_such_name")


def test_the_package_is_light() -> None:
    code = "import sys, nnunet_femur.imaging; print(sorted(set(sys.modules) & {'numpy', 'SimpleITK', 'vtkmodules'}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]"
