"""The true-size benchmark: networks, events of the stages, masks, tables, and a tiny run of all programs."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import stage_probe
import torch
import true_size
import true_size_data
import true_size_masks
import true_size_tables

from nnunet_femur.testing.dummy_plans import make_plans
from nnunet_femur.weights.models import femur_entry


def _plans(features: int) -> dict:
    intensities = {"max": 1.0, "mean": 0.0, "median": 0.0, "min": 0.0, "percentile_00_5": 0.0, "percentile_99_5": 1.0}
    return make_plans(
        femur_entry(),
        spacing_mm=6.0,
        patch=16,
        features=features,
        plans_format="old",
        intensities={**intensities, "std": 1.0},
        median_shape_zyx=(16, 16, 16),
    )


class TestWidened:
    def test_computes_what_the_narrow_network_does(self) -> None:
        narrow, wide = (true_size_data.network_of(_plans(n), 24, seed=n).eval() for n in (4, 12))
        for parameter in narrow.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        window = torch.randn(2, 1, 16, 16, 16)
        with torch.inference_mode():
            expected, before = narrow(window), wide(window)
            wide.load_state_dict(true_size_data.widened(narrow.state_dict(), wide.state_dict()))
            found = wide(window)
        assert not torch.allclose(before, expected, atol=0.1)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)

    def test_true_size_is_that_of_totalsegmentator(self) -> None:
        """31.2 million parameters, six stages."""
        size = true_size_data.TRUE_SIZE
        plans = _plans(size.features)
        plans["configurations"]["3d_fullres"] |= make_plans(
            femur_entry(),
            spacing_mm=size.spacing_mm,
            patch=size.patch,
            features=size.features,
            plans_format="old",
            intensities={},
            median_shape_zyx=(1, 1, 1),
        )["configurations"]["3d_fullres"]
        with torch.device("meta"):
            network = true_size_data.network_of(plans, 24)
        assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(31.2e6, rel=0.01)
        assert len(network.encoder.stages) == 6


class TestEvents:
    @pytest.fixture
    def events(self, tmp_path, monkeypatch):
        file = tmp_path / "events.jsonl"
        monkeypatch.setenv(stage_probe.EVENTS, str(file))
        return lambda: {event["stage"]: event for event in map(json.loads, file.read_text().splitlines())}

    def test_time_of_a_stage_within_another_counts_once(self, events) -> None:
        inner = stage_probe.measured(lambda: time.sleep(0.2), "preprocess")
        stage_probe.measured(lambda: (time.sleep(0.1), inner()), "read")()
        found = events()
        assert found["preprocess"]["seconds"] == pytest.approx(0.2, abs=0.08)
        assert found["read"]["seconds"] == pytest.approx(0.1, abs=0.08)

    def test_a_whole_stage_contains_those_within_it(self, events) -> None:
        inner = stage_probe.measured(lambda: time.sleep(0.2), "network")
        stage_probe.measured(inner, "localise", whole=True)()
        found = events()
        assert set(found) == {"localise"}
        assert found["localise"]["seconds"] >= 0.2

    def test_stages_of_a_process_fill_its_time(self) -> None:
        events = [
            {"stage": "model", "started": 101.0, "seconds": 1.0, "windows": 0},
            {"stage": "read", "started": 103.0, "seconds": 2.0, "windows": 0},
            {"stage": "localise", "started": 105.0, "seconds": 1.0, "windows": 3},
            {"stage": "model", "started": 106.0, "seconds": 0.5, "windows": 0},
            {"stage": "network", "started": 107.0, "seconds": 10.0, "windows": 12},
            {"stage": "memory", "gib": 2.0},
        ]
        measured = {"began": 100.0, "wall_s": 20.0, "processor_s": 30.0, "gib": 1.5}
        found = true_size._summary(measured, events, Path("none"))
        expected = {"start": 3.0, "read": 2.0, "localise": 1.0, "model": 0.5, "network": 10.0, "other": 3.5}
        assert found["stages_s"] == pytest.approx(expected)
        assert (found["windows"], found["windows_localise"], found["gib"]) == (12, 3, 2.0)

    def test_stages_and_windows_of_nnfemur_are_those_of_its_record(self, tmp_path) -> None:
        search = {"windows": 6, "windows_of_grid": 12, "localisers": ["own-windows"]}
        case = {
            "error": "",
            "search": search,
            "backend": "openvino",
            "precision": "float16",
            "stage_seconds": {"read": 1.0, "network": 5.0},
        }
        (tmp_path / "predictions.json").write_text(json.dumps({"cases": [case]}))
        measured = {"began": 100.0, "wall_s": 10.0, "processor_s": 30.0, "gib": 1.5}
        found = true_size._summary(measured, [{"stage": "memory", "gib": 1.0, "gpu_gib": 3.0}], tmp_path)
        assert found["stages_s"] == {"start": 4.0, "read": 1.0, "network": 5.0, "other": 0.0}
        assert (found["windows"], found["windows_of"]) == (6, 12)
        assert (found["backend"], found["gib"], found["gpu_gib"]) == ("openvino, float16", 1.5, 3.0)


class TestMasks:
    def test_differences_near_the_femur_and_everywhere(self, tmp_path) -> None:
        true = np.zeros((4, 4, 60), np.uint8)
        true[:, :, 5:10] = 1
        ours, stock = true.copy(), 7 * true
        ours[0, 0, 12] = 1  # 3 voxels of 3 mm from the femur
        ours[0, 0, 50] = 1  # far from it
        stock[1, 1, 30] = 3  # of another bone
        files = {}
        for name, mask in (("true", true), ("ours", ours), ("stock", stock)):
            image = sitk.GetImageFromArray(mask)
            image.SetSpacing((3.0, 3.0, 3.0))
            files[name] = tmp_path / f"{name}.nrrd"
            sitk.WriteImage(image, str(files[name]))
        masks = {"ours": files["ours"], "stock": files["stock"], "none": None}
        found = true_size_masks.compare(masks, files["true"], labels={"stock": (7, 8)}, bases=("stock",))
        assert found["stock"]["dice"] == 1
        assert found["ours"]["differs"]["stock"] == {"near": 1 / 80, "everywhere": 2 / 80}
        assert found["ours"]["dice"] == pytest.approx(160 / 162)
        assert found["ours"]["dice_largest"] == 1
        assert "none" not in found

    def test_two_legs_have_two_largest_pieces(self) -> None:
        true = np.zeros((2, 2, 20), bool)
        true[:, :, 2:5] = true[:, :, 14:18] = True
        mask = true.copy()
        mask[0, 0, 8] = mask[0, 0, 12] = True
        assert (true_size_masks._largest(mask, true) == true).all()


def _row(way: str, number: int, wall_s: float) -> dict:
    return {
        "ct": "one-leg",
        "way": way,
        "round": number,
        "wall_s": wall_s,
        "processor_s": 2 * wall_s,
        "gib": 1.0,
        "gpu_gib": None,
        "stages_s": {"start": 10.0, "network": wall_s - 10},
        "windows": 12,
        "windows_localise": 0,
    }


def test_tables_show_medians_and_ratios() -> None:
    rows = [_row("nnUNetv2_predict", n, wall_s) for n, wall_s in enumerate((110.0, 60.0, 90.0))]
    rows += [{**_row("nnfemur predict", 0, 30.0), "windows": 8, "windows_of": 12}]
    machine = {"processor": "x", "cores": 2, "load": 0.0, "gpu": None, "torch": "2"}
    settings = {"size": {"ct_zyx": (3, 2, 1), "ct_mm_zyx": (2.0, 1.0, 1.0)}, "rounds": 3, "masks": {}, "device": "cuda"}
    text = true_size_tables.tables(
        {"rows": rows, "settings": settings, "command": "c", "machine": machine, "date": "2026-01-02"}
    )
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    found = {line[0]: line[1:] for line in lines}
    assert found["**whole process**"] == ["90.0", "30.0"]
    assert found["of it the case"] == ["80.0", "20.0"]
    assert found["nnUNetv2_predict's process / this"] == ["1.00", "3.00"]
    assert found["nnUNetv2_predict's case / this"] == ["1.00", "4.00"]
    assert found["windows"] == ["12", "8 of 12"]
    assert found["network runs in"] == ["torch, float16", "torch, float16"]
    assert text.endswith("2026-01-02")


@pytest.mark.integration
def test_tiny_run_of_all_programs(tmp_path, monkeypatch, capsys) -> None:
    for variable in ("OMP_NUM_THREADS", "nnUNet_npp", "nnUNet_nps"):
        monkeypatch.setenv(variable, "1")
    torch.set_num_threads(1)
    ways = ("nnUNetv2_predict", "TotalSegmentator", "nnfemur predict")
    results = true_size.run(tmp_path, true_size_data.TINY, cts=("one-leg",), ways=ways)
    rows = {row["way"]: row for row in results["rows"]}
    assert set(rows) == set(ways)
    for row in rows.values():
        assert row["wall_s"] == pytest.approx(sum(row["stages_s"].values()), rel=0.01)
        assert {"start", "read", "preprocess", "network", "export", "write"} <= set(row["stages_s"])
    stock, peer, ours = (rows[way] for way in ways)
    assert stock["windows"] == ours["windows_of"] >= ours["windows"]
    assert peer["windows_localise"] > 0
    assert peer["stages_s"]["localise"] > 0
    masks = results["settings"]["masks"]["one-leg"]
    assert masks["nnfemur predict"]["differs"]["nnUNetv2_predict"]["near"] <= 1e-3
    measured = results["rows"]
    # A second call measures nothing again.
    monkeypatch.setattr(true_size, "measure", None)
    again = true_size.run(tmp_path, true_size_data.TINY, cts=("one-leg",), ways=ways, resume=True)
    assert again["rows"] == measured
    assert "**One leg**" in capsys.readouterr().out
    assert sys.modules.get("totalsegmentator.nnunet") is None
