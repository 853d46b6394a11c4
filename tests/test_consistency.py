"""Consistency checks: a change of any single property of data and network in the plans is refused and named."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nnunet_femur.consistency import (
    FINGERPRINT_KEY,
    SOURCE_KEY,
    add_fingerprints,
    check_data,
    check_plans,
    check_same,
    differences,
    fingerprint,
    resolve,
    table,
    write_data_fingerprint,
)
from tests.refusing import refused

if TYPE_CHECKING:
    from pathlib import Path

RESAMPLING = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}


def _plans(*, transferred: bool = True) -> dict[str, Any]:
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [32, 32, 32],
        "spacing": [1.5, 1.5, 1.5],
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": dict(RESAMPLING),
        "resampling_fn_seg_kwargs": {**RESAMPLING, "is_seg": True, "order": 1},
        "resampling_fn_probabilities_kwargs": {**RESAMPLING, "order": 1},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {"n_stages": 2, "features_per_stage": [8, 16], "strides": [[1, 1, 1], [2, 2, 2]]},
            "_kw_requires_import": [],
        },
    }
    if transferred:
        configuration[SOURCE_KEY] = {"outputs": 24}
    plans = {
        "dataset_name": "Dataset007_Femur",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIOWithReorient",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 200.0, "std": 120.0, "percentile_00_5": -50.0, "percentile_99_5": 900.0, "median": 190.0}
        },
    }
    add_fingerprints(plans)
    return plans


def _set(plans: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for key in parents:
        plans = plans[key]
    assert plans[last] != value
    plans[last] = value


CHANGES = {
    "spacing_mm": ("configurations/3d_fullres/spacing", [1.5, 1.5, 3.0]),
    "orientation": ("image_reader_writer", "SimpleITKIO"),
    "order of axes": ("transpose_forward", [1, 0, 2]),
    "normalisation": ("configurations/3d_fullres/normalization_schemes", ["ZScoreNormalization"]),
    "normalisation inside a mask": ("configurations/3d_fullres/use_mask_for_norm", [True]),
    "preprocessor": ("configurations/3d_fullres/preprocessor_name", "OtherPreprocessor"),
    "resampling of images": ("configurations/3d_fullres/resampling_fn_data", "resample_torch_fornnunet"),
    "resampling of images, options": ("configurations/3d_fullres/resampling_fn_data_kwargs/order", 1),
    "resampling of masks": ("configurations/3d_fullres/resampling_fn_seg", "resample_torch_fornnunet"),
    "resampling of masks, options": ("configurations/3d_fullres/resampling_fn_seg_kwargs/order", 0),
    "resampling of predictions": ("configurations/3d_fullres/resampling_fn_probabilities", "other"),
    "resampling of predictions, options": ("configurations/3d_fullres/resampling_fn_probabilities_kwargs/order", 0),
    "intensities of channel 0: mean": ("foreground_intensity_properties_per_channel/0/mean", 201.0),
    "intensities of channel 0: std": ("foreground_intensity_properties_per_channel/0/std", 121.0),
    "intensities of channel 0: percentile_00_5": ("foreground_intensity_properties_per_channel/0/percentile_00_5", 0.0),
    "intensities of channel 0: percentile_99_5": ("foreground_intensity_properties_per_channel/0/percentile_99_5", 0.0),
    "network": ("configurations/3d_fullres/architecture/network_class_name", "ResidualEncoderUNet"),
    "network: features_per_stage": (
        "configurations/3d_fullres/architecture/arch_kwargs/features_per_stage",
        [8, 32],
    ),
}


def test_every_field_is_changed_here() -> None:
    plans = _plans()
    fields = set(fingerprint(plans, resolve(plans, "3d_fullres")))
    assert fields - {"network: n_stages", "network: strides"} == set(CHANGES)


@pytest.mark.parametrize("field", CHANGES)
class TestEachChange:
    def test_is_seen_in_the_plans(self, field: str) -> None:
        plans = _plans()
        _set(plans, *CHANGES[field])
        with refused("inconsistent", "p.json") as raised:
            check_plans(plans, resolve(plans, "3d_fullres"), where="p.json")
        assert f"\n  {field}  " in str(raised.value)
        assert str(raised.value).endswith("Run: nnfemur plan -d 7 --from totalsegmentator")

    def test_is_seen_between_data_and_plans(self, field: str, tmp_path: Path) -> None:
        plans = _plans()
        write_data_fingerprint(tmp_path, plans, resolve(plans, "3d_fullres"))
        _set(plans, *CHANGES[field])
        add_fingerprints(plans)
        with refused("inconsistent", tmp_path) as raised:
            check_data(tmp_path, plans, resolve(plans, "3d_fullres"))
        assert f"\n  {field}  " in str(raised.value)

    def test_is_seen_between_weights_and_plans(self, field: str) -> None:
        plans = _plans()
        stored = fingerprint(plans, resolve(plans, "3d_fullres"))
        _set(plans, *CHANGES[field])
        with refused("inconsistent", "checkpoint") as raised:
            check_same(stored, plans, resolve(plans, "3d_fullres"), where="checkpoint")
        assert f"\n  {field}  " in str(raised.value)


class TestAccepted:
    def test_nothing_changed(self, tmp_path: Path) -> None:
        plans = _plans()
        configuration = resolve(plans, "3d_fullres")
        write_data_fingerprint(tmp_path, plans, configuration)
        check_plans(plans, configuration, where="")
        check_data(tmp_path, plans, configuration)
        check_same(configuration[FINGERPRINT_KEY], plans, configuration, where="")

    def test_patch_and_batch_may_change(self) -> None:
        plans = _plans()
        plans["configurations"]["3d_fullres"] |= {"patch_size": [64, 64, 64], "batch_size": 4}
        check_plans(plans, resolve(plans, "3d_fullres"), where="")

    def test_the_network_of_own_plans_may_change(self, tmp_path: Path) -> None:
        plans = _plans(transferred=False)
        write_data_fingerprint(tmp_path, plans, resolve(plans, "3d_fullres"))
        _set(plans, *CHANGES["network: features_per_stage"])
        check_plans(plans, resolve(plans, "3d_fullres"), where="")
        check_data(tmp_path, plans, resolve(plans, "3d_fullres"))

    def test_plans_of_nnunet_alone_pass(self, tmp_path: Path) -> None:
        plans = _plans(transferred=False)
        del plans["configurations"]["3d_fullres"][FINGERPRINT_KEY]
        check_plans(plans, resolve(plans, "3d_fullres"), where="")
        check_data(tmp_path, plans, resolve(plans, "3d_fullres"))


class TestData:
    def test_without_a_fingerprint_are_not_trusted_with_transferred_plans(self, tmp_path: Path) -> None:
        plans = _plans()
        with refused("inconsistent", "femur_guard/fingerprint.json", "--from totalsegmentator"):
            check_data(tmp_path, plans, resolve(plans, "3d_fullres"))

    def test_shapes_reveal_another_spacing(self, tmp_path: Path) -> None:
        """10 slices of 3 mm are 20 at 1.5 mm: a renamed folder is refused even with a copied fingerprint."""
        blosc2 = pytest.importorskip("blosc2")
        plans = _plans()
        configuration = resolve(plans, "3d_fullres")
        write_data_fingerprint(tmp_path, plans, configuration)
        properties = {"spacing": [3.0, 1.5, 1.5], "shape_after_cropping_and_before_resampling": (10, 8, 8)}
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(properties))
        blosc2.asarray(np.zeros((1, 20, 8, 8), np.float32), urlpath=str(tmp_path / "a.b2nd"))
        check_data(tmp_path, plans, configuration)
        (tmp_path / "a.b2nd").unlink()
        blosc2.asarray(np.zeros((1, 10, 8, 8), np.float32), urlpath=str(tmp_path / "a.b2nd"))
        with refused("inconsistent", tmp_path / "a.b2nd", "10 x 8 x 8", "20 x 8 x 8", "1.5 x 1.5 x 1.5 mm"):
            check_data(tmp_path, plans, configuration)


def test_the_table_has_a_line_for_each_difference() -> None:
    rows = differences({"spacing_mm": [1.5, 2.0], "a": 1}, {"spacing_mm": [1.5, 0.75], "a": 1, "b": "x"})
    assert table(rows, left="data", right="plans").splitlines() == [
        "              data     plans",
        "  spacing_mm  1.5 x 2  1.5 x 0.75",
        "  b           None     x",
    ]


def test_a_configuration_that_inherits_is_checked_as_its_parent() -> None:
    plans = _plans()
    plans["configurations"]["larger"] = {"inherits_from": "3d_fullres", "patch_size": [64, 64, 64]}
    check_plans(plans, resolve(plans, "larger"), where="")
    changed = copy.deepcopy(plans)
    changed["configurations"]["larger"]["spacing"] = [3.0, 3.0, 3.0]
    with refused("inconsistent", "spacing_mm"):
        check_plans(changed, resolve(changed, "larger"), where="")
