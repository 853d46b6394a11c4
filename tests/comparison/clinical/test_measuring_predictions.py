"""Measurements of all masks of a comparison: each mask once, from the cache where nothing has changed."""

from __future__ import annotations

import pytest

from nnunet_femur.comparison.clinical.measurement_cache import MeasurementCache
from nnunet_femur.comparison.clinical.measuring_predictions import measure_predictions
from nnunet_femur.comparison.discovery import discover
from nnunet_femur.comparison.score_cache import ScoreCache
from nnunet_femur.evaluation import Scoring
from tests.comparison.conftest import bone, ct_of, write
from tests.comparison.made import by_box

SCRATCH = "FemurScratchTrainer__nnUNetPlans__3d_fullres"
BASELINE = "TotalSegmentator__total__1.5mm"


@pytest.fixture
def measured():
    """Names of the masks that were measured."""
    return []


@pytest.fixture
def engine(measured):
    def measure(mask_zyx, geometry, *, case="femur", side="unknown"):
        measured.append(case)
        return by_box(mask_zyx, geometry, case=case, side=side)

    return measure


def _measure(tree, engine, folder=None):
    cache = MeasurementCache.read(folder) if folder else MeasurementCache()
    predictions = discover(tree.results).predictions
    table = measure_predictions(predictions, scoring=Scoring(), cache=cache, checksums=ScoreCache(), engine=engine)
    if folder:
        cache.write(folder)
    return table


def _errors(table, name):
    return table[table["measurement"] == name].set_index(["method", "case"])["error"].to_dict()


def test_a_shift_is_the_error_of_the_head_centre(tree, engine, measured):
    tree.test(SCRATCH, shift=1)
    tree.test(BASELINE)
    hu = ct_of(bone())
    write(tree.raw / "imagesTs" / "L6_0000.nrrd", hu)
    table = _measure(tree, engine)
    assert _errors(table, "head_center_mm") == {
        (SCRATCH, "L6"): 5.0, (SCRATCH, "R7"): 5.0, (BASELINE, "L6"): 0.0, (BASELINE, "R7"): 0.0,
    }  # fmt: skip
    difference = hu[bone(1) > 0].mean() - hu[bone() > 0].mean()
    assert _errors(table, "hu_mean")[SCRATCH, "L6"] == pytest.approx(difference)
    assert set(table["patient"]) == {"patient6", "patient7"}


def test_each_content_is_measured_once(tree, engine, measured):
    tree.test(SCRATCH, shift=1)
    tree.test(BASELINE)
    tree.test("Other__nnUNetPlans__2d", shift=1)
    _measure(tree, engine)
    # L6 and R7 are equal files: one reference, which is the baseline's prediction too, and one shifted prediction.
    assert len(measured) == 2


def test_only_changed_masks_are_measured_again(tree, engine, measured, tmp_path):
    folder = tree.test(SCRATCH, shift=1)
    first = _measure(tree, engine, tmp_path)
    measured.clear()
    assert _measure(tree, engine, tmp_path).equals(first)
    assert measured == []
    changed = write(folder / "R7.nrrd", bone(2))
    second = _measure(tree, engine, tmp_path)
    assert measured == [str(changed)]
    assert _errors(second, "head_center_mm") == {(SCRATCH, "L6"): 5.0, (SCRATCH, "R7"): 10.0}


def test_a_failure_is_counted_and_tried_again(tree, measured, tmp_path):
    tree.test(SCRATCH, shift=1)

    def failing(mask_zyx, geometry, *, case="femur", side="unknown"):
        measured.append(case)
        if SCRATCH in case:
            raise MemoryError
        return by_box(mask_zyx, geometry, case=case, side=side)

    for _ in range(2):
        table = _measure(tree, failing, tmp_path)
        volumes = table[table["measurement"] == "volume_ml"]
        assert volumes["prediction_missing"].tolist() == ["measuring-failed"] * 2
        assert volumes["error"].isna().all()
    assert sum(SCRATCH in name for name in measured) == 2


def test_methods_of_femur_ends_are_left_out(tree, engine):
    tree.test("FemurHeadUnetResNet34Trainer__nnUNetPlans__3d_fullres")
    tree.test(SCRATCH)
    ends = {one.method for one in discover(tree.results).predictions if one.traits.ends_only}
    assert ends
    assert set(_measure(tree, engine)["method"]) == {SCRATCH}


def test_several_processes_give_the_same(tree):
    tree.test(SCRATCH, shift=1)
    write(tree.raw / "labelsTs" / "R7.nrrd", bone(2))
    predictions = discover(tree.results).predictions
    one, two = (measure_predictions(predictions, scoring=Scoring(), jobs=jobs, engine=by_box) for jobs in (1, 2))
    assert one.equals(two)
    assert _errors(one, "head_center_mm") == {(SCRATCH, "L6"): 5.0, (SCRATCH, "R7"): 5.0}
