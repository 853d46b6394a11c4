"""3D Slicer's segmentation file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.imaging.labels import choose_segments, join_segments, parse_segments
from nnunet_femur.prediction import Femur

if TYPE_CHECKING:
    from pathlib import Path

TURNED = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, -0.5, 0.4).GetMatrix()
GEOMETRY = Geometry((6, 5, 4), (0.7, 0.8, 2.0), (-3.0, 4.0, 5.0), TURNED)


def _mask() -> np.ndarray:
    mask = np.zeros((4, 5, 6), np.uint8)
    mask[1:3, 2:4, 0:5] = 1
    return mask


def _save(mask: np.ndarray, folder: Path, **options: Any) -> list[str]:
    return [path.name for path in Femur.from_mask(image_of(mask, GEOMETRY), case="L1").save(folder, **options)]


def test_reads_back_with_one_named_and_coloured_segment(tmp_path: Path) -> None:
    assert _save(_mask(), tmp_path, formats=("seg.nrrd",)) == ["L1.seg.nrrd"]
    image = sitk.ReadImage(str(tmp_path / "L1.seg.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(image), _mask())
    assert Geometry.of(image).differences(GEOMETRY, tolerance_voxels=1e-9) == []
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert fields["NRRD_space"] == "left-posterior-superior"
    assert fields["Segment0_Name"] == "femur"
    assert fields["Segment0_Extent"] == "0 4 2 3 1 2"
    assert fields["Segment0_LabelValue"] == "1"
    assert fields["Segment0_Layer"] == "0"
    assert [0 <= float(part) <= 1 for part in fields["Segment0_Color"].split()] == [True] * 3
    assert fields["Segmentation_MasterRepresentation"] == "Binary labelmap"
    (segment,) = choose_segments(parse_segments(fields, 1), ())
    assert np.array_equal(join_segments(sitk.GetArrayFromImage(image), [segment]), _mask() > 0)


def test_an_empty_segment_has_an_empty_extent(tmp_path: Path) -> None:
    (tmp_path / "L1.stl").write_bytes(b"of an earlier run")
    assert _save(np.zeros((4, 5, 6), np.uint8), tmp_path, formats=("seg.nrrd",), stl=True) == ["L1.seg.nrrd"]
    assert sitk.ReadImage(str(tmp_path / "L1.seg.nrrd")).GetMetaData("Segment0_Extent") == "0 -1 0 -1 0 -1"
    assert not (tmp_path / "L1.stl").exists()


def test_every_format_holds_the_same_voxels(tmp_path: Path) -> None:
    names = _save(_mask(), tmp_path, formats=("nrrd", "seg.nrrd", "nii.gz"), stl=True)
    assert names == ["L1.nrrd", "L1.seg.nrrd", "L1.nii.gz", "L1.stl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for name in names[:3]:
        image = sitk.ReadImage(str(tmp_path / name))
        assert np.array_equal(sitk.GetArrayFromImage(image), _mask())
        assert Geometry.of(image).differences(GEOMETRY, tolerance_voxels=1e-5) == []
