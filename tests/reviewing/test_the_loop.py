"""The loop of docs/review.md: train, predict, review in a browser, correct, add to the dataset, train on."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from typer.testing import CliRunner

import nnunet_femur as nf
from nnunet_femur.cli import app
from nnunet_femur.dataset.environment import variables
from nnunet_femur.prediction.review_record import read_marks
from nnunet_femur.reviewing import ReviewServer
from nnunet_femur.testing import make_phantom
from tests.reviewing.browser import Browser
from tests.reviewing.conftest import write_segmentation

if TYPE_CHECKING:
    from pathlib import Path

DATASET = "Dataset001_Femur"
TRAINER = "FemurScratchTrainer"


@pytest.fixture
def base(nnunet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the planned phantoms: the loop changes them."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed"):
        shutil.copytree(nnunet / name / DATASET, tmp_path / name / DATASET)
    for name, value in variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def _train(monkeypatch: pytest.MonkeyPatch, plans: str, *, start: Path | None = None) -> None:
    """Train fold 0 as nnUNetv2_train does, in this process and without its validation."""
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    options = [] if start is None else ["-pretrained_weights", str(start)]
    monkeypatch.setattr(sys, "argv", ["nnUNetv2_train", "1", "3d_fullres", "0", "-tr", TRAINER, "-p", plans, *options])
    trainer = get_trainer_from_args("1", "3d_fullres", 0, TRAINER, plans, device=torch.device("cpu"))
    maybe_load_checkpoint(trainer, False, False, None if start is None else str(start))
    trainer.run_training()


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.mark.integration
def test_from_a_prediction_to_the_next_network(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _train(monkeypatch, "nnUNetPlans")
    model = base / "nnUNet_results" / DATASET / f"{TRAINER}__nnUNetPlans__3d_fullres"

    # New CTs are predicted. After three short epochs the masks are poor, so one is replaced by a good one.
    cts, out = base / "cts", base / "out"
    cts.mkdir()
    truth = {}
    for seed, case in ((900, "L900"), (901, "R901")):
        side = "left" if case[0] == "L" else "right"
        phantom = make_phantom(seed, side=side, size_zyx=(48, 32, 32), spacing_mm_zyx=(10.0, 6.0, 6.0))
        sitk.WriteImage(phantom.image, str(cts / f"{case}.nrrd"))
        truth[case] = phantom.mask
    _run("predict", "-i", str(cts), "-m", str(model), "-o", str(out), "--format", "seg.nrrd", "--device", "cpu")
    good = sitk.GetArrayFromImage(truth["L900"])
    write_segmentation(out / "L900.seg.nrrd", good, truth["L900"])

    # A person reviews them in a browser.
    _run("review", str(out))
    with ReviewServer(out) as server, Browser(base / "profile") as browser:
        browser.open(server.url)
        for _ in range(2):
            case = browser.value("document.body.dataset.shown")
            browser.press("a" if case == "L900" else "c")
            browser.until("!unsaved")
            browser.press("j")
            browser.until(f"document.body.dataset.shown !== '{case}'")
        assert browser.problems == []
        assert {address.split(":")[0] for address in browser.addresses} <= {"http", "data"}
        assert all(address.startswith((server.url[:17], "data:")) for address in browser.addresses)
    marks = read_marks(out / "review.json")
    assert {case: mark.mark for case, mark in marks.items()} == {"L900": "accept", "R901": "correct"}

    # The mask is corrected in 3D Slicer, which saves the box around the segment.
    corrected = sitk.GetArrayFromImage(truth["R901"])
    box = tuple(slice(each.min(), each.max() + 1) for each in np.nonzero(corrected))
    z, y, x = box
    part = truth["R901"][x, y, z]
    write_segmentation(out / "R901.seg.nrrd", corrected[box], part)
    reviewed = nf.review(out)
    assert set(reviewed.usable) == {"L900", "R901"}

    # Both join the dataset, and training goes on from the last network.
    folds = json.loads((base / "nnUNet_raw" / DATASET / "splits_final.json").read_text())
    _run("convert", "--update", "1", "--corrected", str(out))
    raw = base / "nnUNet_raw" / DATASET
    for old, new in zip(folds, json.loads((raw / "splits_final.json").read_text()), strict=True):
        assert set(old["val"]) <= set(new["val"])
        assert set(old["train"]) <= set(new["train"])
        assert {"L900", "R901"} <= {*new["train"], *new["val"]}
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(raw / "labelsTr" / "R901.nrrd")))
    assert written.sum() == corrected.sum()
    _run("plan", "-d", "1", "--keep-plans", "nnUNetPlans", "--plans-name", "Round2", "-c", "3d_fullres", "-j", "1")
    data = base / "nnUNet_preprocessed" / DATASET / "Round2_3d_fullres"
    assert len(list(data.glob("*.b2nd"))) >= len(list((raw / "labelsTr").glob("*.nrrd")))
    _train(monkeypatch, "Round2", start=model / "fold_0" / "checkpoint_final.pth")
    later = base / "nnUNet_results" / DATASET / f"{TRAINER}__Round2__3d_fullres" / "fold_0"
    started = json.loads((later / "run.json").read_text())["started_from"]
    assert {name: started[name] for name in ("trainer", "plans", "fold", "same_plans")} == {
        "trainer": TRAINER,
        "plans": "nnUNetPlans",
        "fold": 0,
        "same_plans": True,
    }
    first, second = (
        torch.load(folder / "checkpoint_final.pth", weights_only=False)["network_weights"]
        for folder in (model / "fold_0", later)
    )
    # Three short epochs move no weight far from where it started.
    *_, name = (name for name in first if ".seg_layers." in name and name.endswith("weight"))
    assert 0 < (second[name] - first[name]).abs().mean() < 0.1 * first[name].abs().mean()
