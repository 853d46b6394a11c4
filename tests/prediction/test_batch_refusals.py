"""Cases that `nnfemur predict` refuses, or that fail for unexpected reasons: the others go on."""

from __future__ import annotations

import csv
import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from nnunet_femur.cli import app
from nnunet_femur.prediction import Options, Segmenter, predict
from nnunet_femur.prediction.batch_work import FAILURE_LOG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("nowhere")]


@pytest.fixture(scope="module")
def model(make_model: Callable[..., Path]) -> Path:
    return make_model()


def _write(ct: Path, path: Path, change: Callable[[np.ndarray], np.ndarray], spacing_mm_z: float | None = None) -> Path:
    source = sitk.ReadImage(str(ct))
    image = sitk.GetImageFromArray(np.ascontiguousarray(change(sitk.GetArrayFromImage(source))))
    spacing = source.GetSpacing()
    image.SetSpacing((*spacing[:2], spacing_mm_z or spacing[2]))
    image.SetDirection(source.GetDirection())
    sitk.WriteImage(image, str(path))
    return path


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    return {row["case"]: row for row in csv.DictReader((folder / "predictions.csv").open(encoding="utf-8"))}


@pytest.fixture
def doubtful(ct: Path, tmp_path: Path) -> dict[str, Path]:
    """CTs that are refused, one that is doubtful, and a good one."""
    changes: dict[str, tuple] = {
        "a_raw": (lambda hu: np.maximum(hu, -1024) + np.int16(1024),),
        "b_raw_padded": (lambda hu: np.where(hu < -1000, -2000, hu + 1024).astype(np.int16),),
        "c_one_slice": (lambda hu: hu[20:21],),
        "d_slab": (lambda hu: hu[20:23], 0.6),
        "e_one_row": (lambda hu: hu[:, 16:17],),
        "f_window": (lambda hu: np.clip(hu, -200, 800),),
        "g_good": (lambda hu: hu,),
    }
    return {name: _write(ct, tmp_path / f"{name}.nrrd", *change) for name, change in changes.items()}


def test_what_convert_refuses_is_refused_and_the_others_go_on(doubtful, model, tmp_path):
    out = tmp_path / "out"
    arguments = ["predict", "-i", *doubtful.values(), "-m", model, "-o", out, "--device", "cpu", "--no-mirror"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1
    rows = _rows(out)
    assert [name for name, row in rows.items() if row["error"]] == [
        *("a_raw", "b_raw_padded", "c_one_slice", "d_slab", "e_one_row")
    ]
    codes = {case["case"]: case["code"] for case in json.loads((out / "predictions.json").read_text())["cases"]}
    assert codes["a_raw"] == codes["b_raw_padded"] == "image-positive"
    assert codes["c_one_slice"] == codes["d_slab"] == codes["e_one_row"] == "too-thin"
    assert "-200 to 800" in rows["f_window"]["warnings"]
    assert "window" not in rows["g_good"]["warnings"]
    assert {path.stem for path in out.glob("*.nrrd")} == {"f_window", "g_good"}
    assert not (out / FAILURE_LOG).exists()
    result = CliRunner().invoke(app, [*(str(argument) for argument in arguments), "--any-values"])
    assert result.exit_code == 1
    rows = _rows(out)
    assert [name for name, row in rows.items() if row["error"]] == ["c_one_slice", "d_slab", "e_one_row"]
    assert rows["a_raw"]["warnings"]
    assert json.loads((out / "predictions.json").read_text())["options"]["any_values"] is True


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ZeroDivisionError("by zero"), "read"),
        (IndexError(), "find"),
        (RuntimeError("torch"), "find"),
        (ValueError("odd"), "check"),
    ],
)
def test_no_exception_ends_a_batch(error, part, doubtful, model, tmp_path, monkeypatch):
    whole = getattr(Segmenter, part)

    def fails(self, given, **options):
        if (given.seen if part == "check" else given).case == "f_window":
            raise error
        return whole(self, given, **options)

    monkeypatch.setattr(Segmenter, part, fails)
    options, out = Options(mirror=False), tmp_path / "out"
    inputs = [doubtful["f_window"], doubtful["g_good"]]
    outcome = predict(inputs, model, out, options=options, device="cpu")
    failed, done = outcome.results
    assert (done.error, outcome.complete) == ("", False)
    assert failed.error.startswith(f"{doubtful['f_window']}: ")
    assert type(error).__name__ in failed.error
    log = (out / FAILURE_LOG).read_text(encoding="utf-8")
    assert "f_window" in log
    assert "Traceback" in log


def test_a_ct_thinner_than_a_voxel_of_the_model_is_refused(make_model, ct, tmp_path):
    thin = _write(ct, tmp_path / "thin.nrrd", lambda hu: hu[10:22], 1.0)
    coarse = make_model(spacing=[40.0, 6.0, 6.0])
    (result,) = predict([thin], coarse, tmp_path / "out", options=Options(mirror=False), device="cpu").results
    assert result.code == "too-thin"
    assert "40 mm" in result.error


def test_records_of_older_versions_hold(model, ct, tmp_path):
    """They have neither the later options, nor precision, code, findings and score of a case."""
    options, out = Options(mirror=False), tmp_path / "out"
    predict([ct], model, out, options=options, device="cpu")
    record = json.loads((out / "predictions.json").read_text())
    for name in ("any_values", "sides", "exhaustive", "backend", "precision"):
        del record["options"][name]
    (case,) = record["cases"]
    content = json.dumps([record["model"]["sha256"], record["options"]])
    assert case["settings"] == hashlib.sha256(content.encode()).hexdigest()
    for name in ("code", "precision", "backend", "search", "findings", "review_score", "side", "side_source"):
        del case[name]
    del case["stage_seconds"]
    (out / "predictions.json").write_text(json.dumps(record))
    assert predict([ct], model, out, options=options, device="cpu").skipped == (ct.name.removesuffix("_0000.nrrd"),)
    assert options.deciding() == record["options"]
    assert Options(any_values=True).deciding()["any_values"] is True
