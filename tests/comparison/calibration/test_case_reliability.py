"""Probabilities as nnU-Net's own export writes them, in every order of axes, and files that are refused."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.special import softmax

from nnunet_femur.comparison.calibration import probability_files
from nnunet_femur.comparison.calibration.case_reliability import (
    IMAGE,
    SURROUNDINGS,
    CaseFiles,
    case_reliability,
    measure_reliability,
    surroundings,
)
from nnunet_femur.comparison.calibration.probability_files import probability_file
from nnunet_femur.comparison.calibration.reliability import Reliability
from nnunet_femur.evaluation import Scoring
from tests.comparison.conftest import bone, write
from tests.refusing import refused

BOX = ((1, 5), (0, 6), (2, 8))
"""Part of the CT that nnU-Net keeps when it crops, along the axes of its array."""


def _oriented_ct(path, orientation: str):
    """Write a CT whose axes have other orders and directions than RAS."""
    image = sitk.GetImageFromArray(np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8))
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(path))
    return path


def _exported(tmp_path, ct, reader: str, transpose: tuple[int, ...], seed: int = 0):
    """Write a mask and its probabilities by nnU-Net's export; return it and the femur's probabilities as an image."""
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    configuration = {
        "architecture": {},
        "spacing": [1.0, 1.0, 1.0],
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
    }
    plans = PlansManager(
        {
            "image_reader_writer": reader,
            "transpose_forward": list(transpose),
            "transpose_backward": np.argsort(transpose).tolist(),
            "configurations": {"3d_fullres": configuration},
        }
    )
    data, properties = plans.image_reader_writer_class().read_images([str(ct)])
    turned = data[0].transpose(transpose)
    box = [[a, min(b, n)] for (a, b), n in zip(BOX, turned.shape, strict=True)]
    shape = [b - a for a, b in box]
    properties |= {
        "shape_before_cropping": turned.shape,
        "bbox_used_for_cropping": box,
        "shape_after_cropping_and_before_resampling": shape,
    }
    logits = np.random.default_rng(seed).normal(0, 2, (2, *shape)).astype(np.float32)
    target = tmp_path / f"case{seed}"
    export_prediction_from_logits(
        logits, properties, plans.get_configuration("3d_fullres"), plans,
        {"labels": {"background": 0, "femur": 1}, "file_ending": ".nrrd"}, str(target), save_probabilities=True,
        num_threads_torch=1,
    )  # fmt: skip
    femur = np.zeros(turned.shape, np.float32)
    femur[tuple(slice(*part) for part in box)] = softmax(logits, axis=0)[1]
    image = sitk.GetImageFromArray(femur.transpose(np.argsort(transpose)))
    image.SetSpacing(properties["sitk_stuff"]["spacing"])
    image.SetOrigin(properties["sitk_stuff"]["origin"])
    image.SetDirection(properties["sitk_stuff"]["direction"])
    return target.with_suffix(".nrrd"), image


@pytest.mark.parametrize("orientation", ["SAR", "PIL"])
@pytest.mark.parametrize("reader", ["SimpleITKIO", "SimpleITKIOWithReorient"])
@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1)])
def test_files_of_nnunet(tmp_path, monkeypatch, orientation, reader, transpose):
    monkeypatch.setattr(probability_files, "SLAB_BYTES", 500)  # several slabs
    ct = _oriented_ct(tmp_path / "ct.nrrd", orientation)
    mask, probabilities = _exported(tmp_path, ct, reader, transpose)
    # A reference beside the prediction, in yet another order of axes.
    image = sitk.ReadImage(str(ct))
    rng = np.random.default_rng(1)
    truth = sitk.GetImageFromArray((rng.random(image.GetSize()[::-1]) < 0.1).astype(np.uint8))
    truth.CopyInformation(image)
    reference = tmp_path / "reference.nrrd"
    sitk.WriteImage(sitk.DICOMOrient(truth, "RAI"), str(reference))
    found = case_reliability(CaseFiles(reference, mask, probability_file(mask), Scoring()))
    # The expected values: both images in one orientation, by SimpleITK.
    p, y = (sitk.GetArrayFromImage(sitk.DICOMOrient(one, "LPS")) for one in (probabilities, truth))
    expected = Reliability.of(p, y > 0)
    assert found[IMAGE].voxels.tolist() == expected.voxels.tolist()
    assert found[IMAGE].femur.tolist() == expected.femur.tolist()
    assert (found[IMAGE].ece, found[IMAGE].brier) == pytest.approx((expected.ece, expected.brier), rel=1e-4)


def test_surroundings_by_distances():
    rng = np.random.default_rng(0)
    femur = rng.random((9, 8, 12)) < 0.01
    spacing = (5.0, 2.5, 1.25)
    centers = np.argwhere(femur) * spacing
    everywhere = np.argwhere(np.ones(femur.shape, bool)) * spacing
    near = (np.abs(everywhere[:, None] - centers[None]) <= 5).all(axis=2).any(axis=1)
    assert surroundings(femur, spacing, 5.0).ravel().tolist() == near.tolist()


class TestOneCase:
    """A bone of 64 voxels of 5 x 2 x 2 mm in an image of 1320 voxels."""

    @pytest.fixture
    def files(self, tmp_path):
        reference = write(tmp_path / "reference.nrrd", bone())
        mask = write(tmp_path / "L6.nrrd", bone())
        p = np.where(bone() > 0, 0.9, 0.0).astype(np.float32)
        np.savez_compressed(tmp_path / "L6.npz", probabilities=np.stack([1 - p, p]))
        return CaseFiles(reference, mask, tmp_path / "L6.npz", Scoring())

    def test_both_regions(self, files):
        found = case_reliability(files)
        # Ten mm are two voxels along z and five along y and x: 8 slices, 11 (of 3 - 5 to 6 + 5) rows, 12 columns.
        assert found[SURROUNDINGS].total == 8 * 11 * 12
        assert found[IMAGE].total == 10 * 11 * 12
        assert found[SURROUNDINGS].ece == pytest.approx(64 * 0.1 / (8 * 11 * 12), rel=1e-5)
        assert found[IMAGE].brier == pytest.approx(64 * 0.01 / 1320, rel=1e-5)

    def test_an_empty_reference_has_no_surroundings(self, files):
        write(files.reference, np.zeros_like(bone()))
        assert set(case_reliability(files)) == {IMAGE}

    @pytest.mark.parametrize("kind", [np.float16, np.float64])
    def test_other_precisions(self, files, kind):
        values = np.load(files.probabilities)["probabilities"].astype(kind)
        np.savez(files.probabilities, probabilities=values)
        assert case_reliability(files)[IMAGE].ece == pytest.approx(64 * 0.1 / 1320, rel=1e-2)

    def test_a_single_region_is_femur(self, files):
        values = np.load(files.probabilities)["probabilities"]
        np.savez(files.probabilities, probabilities=values[1:])
        assert case_reliability(files)[IMAGE].ece == pytest.approx(64 * 0.1 / 1320, rel=1e-5)

    @pytest.mark.parametrize("place", [0, 1])
    def test_femur_among_two_regions(self, files, place):
        femur = np.load(files.probabilities)["probabilities"][1]
        whole = np.maximum(femur, np.roll(femur, 3, axis=2))  # the femur and another bone
        np.savez(files.probabilities, probabilities=np.stack([femur, whole] if place == 0 else [whole, femur]))
        assert case_reliability(files)[IMAGE].ece == pytest.approx(64 * 0.1 / 1320, rel=1e-5)

    def test_femur_among_three_classes(self, files):
        background, femur = np.load(files.probabilities)["probabilities"]
        other = np.roll(femur, 4, axis=2)
        np.savez(files.probabilities, probabilities=np.stack([background - other, other, femur]))
        assert case_reliability(files)[IMAGE].ece == pytest.approx(64 * 0.1 / 1320, rel=1e-5)

    def test_classes_without_femur(self, files):
        background, femur = np.load(files.probabilities)["probabilities"]
        parts = [np.where(np.arange(12) < 6, femur, 0), np.where(np.arange(12) < 6, 0, femur)]
        np.savez(files.probabilities, probabilities=np.stack([np.roll(background, 3, axis=1), *parts]))
        with refused("invalid-file", files.probabilities, "3"):
            case_reliability(files)

    def test_probabilities_of_another_case(self, files):
        values = np.load(files.probabilities)["probabilities"]
        np.savez(files.probabilities, probabilities=np.roll(values, 3, axis=1))
        with refused("invalid-file", files.probabilities, "L6.nrrd"):
            case_reliability(files)

    def test_another_shape(self, files):
        np.savez(files.probabilities, probabilities=np.zeros((2, 3, 4, 5), np.float32))
        with refused("invalid-file", files.probabilities, "(3, 4, 5)"):
            case_reliability(files)

    @pytest.mark.parametrize("name", ["other", "segmentation"])
    def test_other_arrays(self, files, name):
        np.savez(files.probabilities, **{name: np.zeros(3)})
        with refused("invalid-file", files.probabilities):
            case_reliability(files)

    @pytest.mark.parametrize("values", [np.zeros((2, 3, 4)), np.zeros((2, 10, 11, 12), np.uint8), np.array([None])])
    def test_values_that_are_not_probabilities(self, files, values):
        np.savez(files.probabilities, probabilities=values)
        assert str(files.probabilities) in measure_reliability(files)

    @pytest.mark.parametrize("content", [b"", b"PK", b"nonsense"])
    def test_a_damaged_file(self, files, content):
        files.probabilities.write_bytes(content)
        with refused("unreadable", files.probabilities):
            case_reliability(files)

    def test_a_file_that_is_cut_off(self, files):
        rng = np.random.default_rng(0)
        np.savez(files.probabilities, probabilities=rng.random((2, 10, 11, 12)).astype(np.float32))
        whole = bytearray(files.probabilities.read_bytes())
        whole[2000:2100] = bytes(100)  # the checksum of the archive finds it
        files.probabilities.write_bytes(bytes(whole))
        assert str(files.probabilities) in measure_reliability(files)
