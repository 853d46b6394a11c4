"""Exporting a model: its files, checksums, parity, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nnunet_femur.model_export import export

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def exported(finetuned: Path, tmp_path_factory: pytest.TempPathFactory):
    return export(finetuned, tmp_path_factory.mktemp("out") / "shared")


@pytest.mark.integration
class TestExport:
    def test_files(self, exported) -> None:
        assert [path.suffix for path in exported.files] == [".zip", ".md", "", ".json"]
