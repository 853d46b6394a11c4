"""Masks in any order and of any type, and masks that are refused."""

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_femur.evaluation.mask_input import on_one_grid, read_mask, require_same_grid
from nnunet_femur.imaging.geometry import VolumeError
from tests.refusing import refused


def _write(path, voxels, *, direction=None, origin=(0.0, 0.0, 0.0)):
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin(origin)
    if direction:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def voxels():
    return (np.random.default_rng(0).random((4, 5, 6)) > 0.5).astype(np.uint8)


class TestReadMask:
    def test_axes_lead_to_superior_anterior_and_right(self, tmp_path):
        corner = np.zeros((4, 5, 6), dtype=np.uint8)
        corner[3, 0, 1] = 1  # Stored LPS: superior, most anterior, second from the right.
        mask = read_mask(_write(tmp_path / "a.nrrd", corner))
        assert np.argwhere(mask.voxels).tolist() == [[3, 4, 4]]
        assert mask.geometry.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)

    @pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
    def test_any_type_of_zeros_and_ones(self, tmp_path, voxels, kind):
        mask = read_mask(_write(tmp_path / "a.nii.gz", voxels.astype(kind)))
        assert mask.voxels.dtype == bool
        assert mask.voxels.sum() == voxels.sum()

    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (np.full((2, 2, 2), -1, np.int16), "mask-labels"),
            (np.full((2, 2, 2), 0.25, np.float32), "mask-labels"),
            (np.arange(8, dtype=np.uint8).reshape(2, 2, 2), "mask-labels"),
            (np.full((2, 2, 2), np.nan, np.float32), "not-finite"),
        ],
    )
    def test_other_values_are_refused(self, tmp_path, bad, code):
        with pytest.raises(VolumeError) as error:
            read_mask(_write(tmp_path / "bad.nrrd", bad))
        assert (error.value.code, error.value.path) == (code, tmp_path / "bad.nrrd")

    def test_labels_say_what_is_femur(self, tmp_path):
        several = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
        mask = read_mask(_write(tmp_path / "a.nrrd", several), labels=(3, 5))
        assert mask.voxels.sum() == 2
        assert read_mask(_write(tmp_path / "b.nrrd", (several == 2) * 2)).voxels.sum() == 1

    @pytest.mark.parametrize(
        ("segments", "count"), [((), 4), (("femur",), 4), (("tibia",), 2), (("femur", "tibia"), 6)]
    )
    def test_segments_of_3d_slicer(self, tmp_path, segments, count):
        voxels = np.zeros((4, 5, 6), np.uint8)
        voxels[1, 1:3, 1:3], voxels[3, 0, :2] = 1, 2
        image = sitk.GetImageFromArray(voxels)
        for number, (name, value) in enumerate((("Femur", 1), ("Tibia", 2))):
            for key, entry in (("Name", name), ("LabelValue", str(value)), ("Layer", "0")):
                image.SetMetaData(f"Segment{number}_{key}", entry)
        sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
        assert read_mask(tmp_path / "a.seg.nrrd", segments=segments).voxels.sum() == count

    def test_an_orientation_that_is_not_defined_is_settled_by_the_reference(self, tmp_path, voxels):
        path = _write(tmp_path / "a.nrrd", voxels, origin=(-5.0, 7.0, 1.0))
        reference = tmp_path / "reference.nrrd"
        reference.write_bytes(path.read_bytes().replace(b"left-posterior-superior", b"right-anterior-superior"))
        path.write_bytes(path.read_bytes().replace(b"space: left-posterior-superior", b"space dimension: 3"))
        like = read_mask(reference)
        settled = read_mask(path, like=like.geometry)
        require_same_grid(like, settled)
        np.testing.assert_array_equal(settled.voxels, like.voxels)
        assert [found.code for found in settled.findings] == ["space-unnamed"]

    @pytest.mark.parametrize("name", ["cut.nrrd", "cut.mha", "cut.nii", "cut.nii.gz"])
    def test_truncated(self, tmp_path, name):
        noise = np.random.default_rng(0).integers(0, 2, (30, 30, 30), dtype=np.uint8)
        path = _write(tmp_path / name, noise)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with refused("unreadable", path):
            read_mask(path)

    def test_missing(self, tmp_path):
        with pytest.raises(VolumeError) as error:
            read_mask(tmp_path / "nothing.nrrd")
        assert error.value.path == tmp_path / "nothing.nrrd"


class TestOnOneGrid:
    """3D Slicer stores a segmentation in the box of its segments; other masks cover the CT."""

    @pytest.fixture
    def masks(self, tmp_path):
        voxels = np.zeros((6, 7, 8), np.uint8)
        voxels[2:4, 3:5, 1:6] = 1

        def read(box, name):
            image = sitk.GetImageFromArray(voxels)[tuple(slice(*ends) for ends in box)]
            image.SetSpacing((1.0, 2.0, 3.0))
            image.SetOrigin(tuple(start * step for (start, _), step in zip(box, (1.0, 2.0, 3.0), strict=True)))
            if name.endswith(".seg.nrrd"):
                for key, entry in (("Name", "Femur"), ("LabelValue", "1"), ("Layer", "0")):
                    image.SetMetaData(f"Segment0_{key}", entry)
            sitk.WriteImage(image, str(tmp_path / name))
            return read_mask(tmp_path / name)

        return read

    FULL, TIGHT, LOW = ((0, 8), (0, 7), (0, 6)), ((1, 6), (3, 5), (2, 4)), ((0, 7), (2, 6), (0, 5))

    @pytest.mark.parametrize(
        ("reference", "prediction"),
        [(TIGHT, FULL), (FULL, TIGHT), (TIGHT, LOW), (TIGHT, TIGHT)],
        ids=["reference", "prediction", "both", "none"],
    )
    def test_a_box_of_the_lattice_is_placed_voxel_by_voxel(self, masks, reference, prediction):
        names = [
            f"{name}{'.nrrd' if box == self.FULL else '.seg.nrrd'}"
            for name, box in zip("ab", (reference, prediction), strict=True)
        ]
        one, other = on_one_grid(masks(reference, names[0]), masks(prediction, names[1]))
        require_same_grid(one, other)
        np.testing.assert_array_equal(one.voxels, other.voxels)
        assert one.voxels.sum() == 20

    def test_a_mask_that_is_no_segmentation_must_cover_the_grid(self, masks):
        with refused("grid-differs", "a.seg.nrrd", "b.nrrd"):
            require_same_grid(*on_one_grid(masks(self.FULL, "a.seg.nrrd"), masks(self.TIGHT, "b.nrrd")))


class TestRequireSameGrid:
    @pytest.mark.parametrize(("shift_mm", "same"), [(0.0017, True), (0.009, True), (0.011, False), (0.5, False)])
    def test_an_origin_rounded_to_two_decimals_is_the_same_grid(self, tmp_path, voxels, shift_mm, same):
        reference = read_mask(_write(tmp_path / "reference.nrrd", voxels))
        prediction = read_mask(_write(tmp_path / "prediction.nrrd", voxels, origin=(shift_mm, 0.0, 0.0)))
        if same:
            require_same_grid(reference, prediction)
        else:
            with refused("grid-differs", "origin"):
                require_same_grid(reference, prediction)

    def test_the_order_in_which_files_store_a_volume_does_not_matter(self, tmp_path, voxels):
        stored = read_mask(_write(tmp_path / "lps.nrrd", voxels))
        ras = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "lps.nrrd")), "RAS")
        sitk.WriteImage(ras, str(tmp_path / "ras.nrrd"))
        assert not np.array_equal(sitk.GetArrayFromImage(ras), voxels)
        other = read_mask(tmp_path / "ras.nrrd")
        require_same_grid(stored, other)
        assert np.array_equal(stored.voxels, other.voxels)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [({"origin": (5.0, 0.0, 0.0)}, "origin"), ({"direction": (-1, 0, 0, 0, 1, 0, 0, 0, 1)}, "origin")],
    )
    def test_another_place_in_the_patient_is_refused(self, tmp_path, voxels, changes, named):
        reference = read_mask(_write(tmp_path / "reference.nrrd", voxels))
        prediction = read_mask(_write(tmp_path / "prediction.nrrd", voxels, **changes))
        with refused("grid-differs", "reference.nrrd", "prediction.nrrd", named):
            require_same_grid(reference, prediction)

    def test_oblique_axes_halfway_between_two_directions(self, tmp_path, voxels):
        cosine = np.sqrt(0.5)
        turned = (cosine, -cosine, 0, cosine, cosine, 0, 0, 0, 1)
        nudged = (cosine + 1e-9, -cosine + 1e-9, 0, cosine - 1e-9, cosine + 1e-9, 0, 0, 0, 1)
        reference = read_mask(_write(tmp_path / "reference.nrrd", voxels, direction=turned))
        prediction = read_mask(_write(tmp_path / "prediction.nrrd", voxels, direction=nudged), like=reference.geometry)
        require_same_grid(reference, prediction)
        assert np.array_equal(reference.voxels, prediction.voxels)

    def test_another_size_is_refused(self, tmp_path, voxels):
        reference = read_mask(_write(tmp_path / "reference.nrrd", voxels))
        prediction = read_mask(_write(tmp_path / "prediction.nrrd", voxels[1:]))
        with refused("grid-differs", "(6, 5, 4)", "(6, 5, 3)"):
            require_same_grid(reference, prediction)
