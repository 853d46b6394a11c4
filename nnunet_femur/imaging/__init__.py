"""One volume: find, read, check and write CTs and masks.

::

    from nnunet_femur.imaging import read_ct, read_femur, write_volume

    ct = read_ct("ct.nrrd")                   # a file or a DICOM folder; HU, with findings
    femur = read_femur("mask.seg.nrrd")       # also NIfTI, MetaImage, DICOM SEG, 3D Slicer
    write_volume(ct.image, "ct.nii.gz")

The modules, in the order in which data passes through them:

- `geometry`, `boxes`, `sides`: grids, orders of axes, bounding boxes, and sides of the body.
- `sources`: CTs and masks as users name them; their files and checksums.
- `reading`: the reader of all commands. It uses

  - `files`, which recognises formats, and for each format `nifti`, or `itk_files` with `itk_warnings` and `unpacking`;
    `headers` contains the text of headers and the checks that all formats share;
  - `dicom` and the modules named after it, which describes their order.

- `hounsfield`, `image_facts`, `padding`: checks of the values of a CT. `usability` refuses a CT that cannot be
  segmented.
- `femur_mask`: the femur among the `labels` of a mask or the `segments` of a segmentation.
- `grids`: the transfer of a mask onto the grid of its CT.
- `writing`, `dicom_output`, `surface_mesh`: volumes, segmentations of 3D Slicer, DICOM SEG and RTSTRUCT, STL and PLY.

Importing this package loads none of them: its names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.lazy_names import lazy_names

if TYPE_CHECKING:
    from nnunet_femur.imaging.boxes import box_of
    from nnunet_femur.imaging.dicom_output import write_dicom
    from nnunet_femur.imaging.femur_mask import FemurMask, read_femur
    from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry, VolumeError, image_of
    from nnunet_femur.imaging.hounsfield import image_findings
    from nnunet_femur.imaging.reading import (
        SourceHeader,
        Volume,
        read_ct,
        read_ct_header,
        read_mask,
        read_mask_header,
    )
    from nnunet_femur.imaging.sources import Source, find_masks, find_sources
    from nnunet_femur.imaging.surface_mesh import Surface, bone_surface, write_stl, write_surface
    from nnunet_femur.imaging.writing import write_nrrd, write_volume

__all__ = [
    "RAS",
    "AxisOrder",
    "FemurMask",
    "Geometry",
    "Source",
    "SourceHeader",
    "Surface",
    "Volume",
    "VolumeError",
    "bone_surface",
    "box_of",
    "find_masks",
    "find_sources",
    "image_findings",
    "image_of",
    "read_ct",
    "read_ct_header",
    "read_femur",
    "read_mask",
    "read_mask_header",
    "write_dicom",
    "write_nrrd",
    "write_stl",
    "write_surface",
    "write_volume",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    __all__,
    {
        "boxes": ("box_of",),
        "dicom_output": ("write_dicom",),
        "femur_mask": ("FemurMask", "read_femur"),
        "geometry": ("RAS", "AxisOrder", "Geometry", "VolumeError", "image_of"),
        "hounsfield": ("image_findings",),
        "reading": ("SourceHeader", "Volume", "read_ct", "read_ct_header", "read_mask", "read_mask_header"),
        "sources": ("Source", "find_masks", "find_sources"),
        "surface_mesh": ("Surface", "bone_surface", "write_stl", "write_surface"),
        "writing": ("write_nrrd", "write_volume"),
    },
)
