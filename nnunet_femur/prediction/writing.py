"""The files of one case: masks, surface and uncertainty, on the CT's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.imaging.surface_mesh import bone_surface, write_stl
from nnunet_femur.imaging.writing import segment_fields, write_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nnunet_femur.imaging.geometry import Geometry
    from nnunet_femur.prediction.options import Options


def write_case(
    folder: Path,
    case: str,
    mask_zyx: NDArray[np.uint8],
    geometry: Geometry,
    *,
    deviation_zyx: NDArray[np.float32] | None = None,
    options: Options,
) -> list[str]:
    """Write what the options ask for and return the names of the files.

    An empty mask has no surface, so none is written, and one of an earlier run is removed.

    Raises:
        SetupError: A file cannot be written.
    """
    names = []
    for form in options.formats:
        image = image_of(mask_zyx, geometry)
        if form == "seg.nrrd":
            for key, value in segment_fields(mask_zyx).items():
                image.SetMetaData(key, value)
        names.append(f"{case}.{form}")
        write_volume(image, folder / names[-1])
    if deviation_zyx is not None:
        names.append(f"{case}_uncertainty.nrrd")
        # A thousandth is finer than it means anything, and packs to a tenth of the size.
        write_volume(image_of(np.round(deviation_zyx, 3), geometry), folder / names[-1])
    if options.stl:
        surface = bone_surface(mask_zyx, geometry)
        path = folder / f"{case}.stl"
        if len(surface.triangles):
            write_stl(surface, path)
            names.append(path.name)
        else:
            path.unlink(missing_ok=True)
    return names
