"""A segmented femur: its mask, its measures, and the files that it is saved as."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.arguments import require_type, several
from nnunet_femur.atomic_files import make_folder
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.geometry import RAS, AxisOrder, Geometry
from nnunet_femur.imaging.surface_mesh import bone_surface, write_stl
from nnunet_femur.imaging.writing import WRITTEN_ENDINGS, segment_fields, write_volume
from nnunet_femur.prediction.postprocessing import Plausibility, check_plausibility
from nnunet_femur.prediction.prediction_options import require_formats

if TYPE_CHECKING:
    from collections.abc import Sequence

    import SimpleITK as sitk
    from numpy.typing import NDArray

    from nnunet_femur.imaging.surface_mesh import Surface

_PANEL_PIXELS = 180
"""Height of the pictures in a notebook."""


@dataclass(frozen=True, eq=False, repr=False)
class Femur:
    """A femur in a CT, as :class:`~nnunet_femur.Segmenter` and :func:`~nnunet_femur.baseline` return it.

    All images have the CT's own grid.

    Attributes:
        case: Name of the CT, by which the files of :meth:`save` are named.
        mask: The mask, uint8: 1 in the femur, 0 elsewhere.
        volume_ml: Volume of the mask in ml.
        pieces: Number of its pieces of at least 0.5 ml.
        warnings: Short texts about what is doubtful in the CT or implausible in the mask; empty if nothing is.
        disagreement: 1 minus the mean Dice of all pairs of folds, from 0 (all folds agree) to 1; None with one fold.
        uncertainty: Standard deviation over the folds of the femur's probability, float32, from 0 to 0.5; None unless
            it was asked for and there are several folds.
        left: The left femur, uint8, if the network distinguishes the sides, as TotalSegmentator's does; else None.
        right: The right femur, likewise.
        precision: Precision that the network computed in, such as "float32"; empty if it is not known.

    Example:
        >>> import SimpleITK as sitk
        >>> femur = Femur.from_mask(sitk.ReadImage("reference.nrrd"), case="L001")
        >>> femur
        Femur('L001', 418.7 ml, pieces=1, warnings=())
        >>> femur.surface().volume_ml > 0
        True
        >>> [path.name for path in femur.save("out", formats=("seg.nrrd",), stl=True)]
        ['L001.seg.nrrd', 'L001.stl']
        >>> femur.save("femur.nii.gz")
        (PosixPath('femur.nii.gz'),)
    """

    case: str
    mask: sitk.Image
    volume_ml: float
    pieces: int
    warnings: tuple[str, ...] = ()
    disagreement: float | None = None
    uncertainty: sitk.Image | None = None
    left: sitk.Image | None = None
    right: sitk.Image | None = None
    precision: str = field(default="")

    @classmethod
    def from_mask(
        cls,
        mask: sitk.Image,
        *,
        case: str = "femur",
        left: sitk.Image | None = None,
        right: sitk.Image | None = None,
        warnings: Sequence[str] = (),
        disagreement: float | None = None,
        uncertainty: sitk.Image | None = None,
        precision: str = "",
    ) -> Femur:
        """Measure a mask and check whether it is plausible.

        Args:
            mask: The mask, not 0 in the femur.
            case: Name of the CT.
            left: The left femur alone, if the sides are known. Each side is checked by itself then.
            right: The right femur alone, likewise.
            warnings: Warnings about the CT, which come first.
            disagreement: Disagreement of the folds.
            uncertainty: Standard deviation over the folds.
            precision: Precision that the network computed in.

        Raises:
            InputError: The mask is not an image (code "invalid-option").
        """
        import SimpleITK as sitk

        require_type("mask", mask, sitk.Image, "a SimpleITK image")
        whole = _check(mask)
        found = {name: each for name, each in (("left", left), ("right", right)) if each is not None}
        sides = {name: check for name, each in found.items() if (check := _check(each)).pieces}
        if len(sides) > 1:
            about_mask = tuple(f"{name}: {text}" for name, check in sides.items() for text in check.warnings)
        else:
            about_mask = whole.warnings
        return cls(
            case,
            mask,
            whole.volume_ml,
            whole.pieces,
            (*warnings, *about_mask),
            disagreement,
            uncertainty,
            left,
            right,
            precision,
        )

    def surface(self) -> Surface:
        """Return the smoothed, closed surface of the mask: points in LPS mm and triangles.

        No point is moved by more than half a voxel along any axis. An empty mask has no triangles.
        """
        import SimpleITK as sitk

        return bone_surface(sitk.GetArrayViewFromImage(self.mask), Geometry.of(self.mask))

    def save(
        self, path: str | Path, *, formats: str | Sequence[str] = ("nrrd",), stl: bool = False
    ) -> tuple[Path, ...]:
        """Save the femur, as one file or as all files of a case in a folder.

        Args:
            path: A file, whose ending chooses its kind: ``.nrrd .nii.gz .nii .mha`` for the mask, ``.seg.nrrd`` for
                3D Slicer, ``.stl`` for the surface. Or a folder, which is created if it does not exist: it gets
                ``CASE.FORMAT`` for each format, ``CASE_uncertainty.nrrd`` if there is an uncertainty, and ``CASE.stl``.
            formats: Formats of the masks in a folder: "nrrd", "seg.nrrd", "nii.gz".
            stl: Write the surface into the folder. An empty mask has none, and that of an earlier run is removed.

        Returns:
            The written files.

        Raises:
            InputError: A format is not one of these, or the surface of an empty mask is asked for as a file (code
                "no-femur").
            SetupError: A file cannot be written (code "cannot-write").
        """
        path = Path(path)
        name = "" if path.is_dir() else path.name.lower()
        folder = path.parent if name.endswith((".stl", *WRITTEN_ENDINGS)) else path
        make_folder(folder)
        if folder == path:
            return self._save_case(folder, several(formats), stl=stl)
        if not name.endswith(".stl"):
            self._write_mask(path)
        elif not self._write_surface(path):
            msg = f"{path}: not written, since the mask is empty and has no surface."
            raise InputError(msg, code="no-femur")
        return (path,)

    def _save_case(self, folder: Path, formats: tuple[str, ...], *, stl: bool) -> tuple[Path, ...]:
        import SimpleITK as sitk

        require_formats(formats)
        paths = [folder / f"{self.case}.{form}" for form in formats]
        for path in paths:
            self._write_mask(path)
        if self.uncertainty is not None:
            paths.append(folder / f"{self.case}_uncertainty.nrrd")
            # Finer differences mean nothing, and rounded the file takes a tenth of the space.
            rounded = np.round(sitk.GetArrayViewFromImage(self.uncertainty), 3)
            image = sitk.GetImageFromArray(rounded)
            image.CopyInformation(self.uncertainty)
            write_volume(image, paths[-1])
        surface = folder / f"{self.case}.stl"
        if stl and self._write_surface(surface):
            paths.append(surface)
        return tuple(paths)

    def _write_mask(self, path: Path) -> None:
        import SimpleITK as sitk

        image = self.mask
        if path.name.lower().endswith(".seg.nrrd"):
            image = sitk.Image(image)
            for key, value in segment_fields(sitk.GetArrayViewFromImage(image)).items():
                image.SetMetaData(key, value)
        write_volume(image, path)

    def _write_surface(self, path: Path) -> bool:
        """Write the surface and return True; for an empty mask, remove an earlier file and return False."""
        surface = self.surface()
        if not len(surface.triangles):
            path.unlink(missing_ok=True)
            return False
        write_stl(surface, path)
        return True

    def __repr__(self) -> str:
        """Return case, volume, pieces and warnings."""
        disagreement = "" if self.disagreement is None else f", disagreement={self.disagreement:.3f}"
        numbers = f"{self.volume_ml:.1f} ml, pieces={self.pieces}{disagreement}"
        return f"{type(self).__name__}({self.case!r}, {numbers}, warnings={self.warnings!r})"

    def _repr_html_(self) -> str:
        """Show the mask from three sides, as an X-ray would, with its measures."""
        numbers = [f"{self.volume_ml:.1f} ml", f"{self.pieces} piece(s)"]
        if self.disagreement is not None:
            numbers.append(f"disagreement {self.disagreement:.3f}")
        caption = html.escape(f"{self.case}: {', '.join(numbers)}")
        warnings = "".join(f"<li>{html.escape(text)}</li>" for text in self.warnings)
        picture = base64.b64encode(_picture(self.mask)).decode("ascii")
        image = f'<img alt="coronal, sagittal and axial projection of the mask" src="data:image/png;base64,{picture}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure><ul>{warnings}</ul>"


def _check(mask: sitk.Image) -> Plausibility:
    import SimpleITK as sitk

    return check_plausibility(sitk.GetArrayViewFromImage(mask), Geometry.of(mask))


def _picture(mask: sitk.Image) -> bytes:
    """Return a PNG of the mask's thickness, coronal, sagittal and axial, the patient's right on the left."""
    import SimpleITK as sitk
    from matplotlib.image import imsave

    geometry = Geometry.of(mask)
    order = AxisOrder.between(geometry, RAS)
    # From superior to inferior, from anterior to posterior, from right to left.
    voxels = order.of_array(sitk.GetArrayViewFromImage(mask))[::-1, ::-1, ::-1] > 0
    z_mm, y_mm, x_mm = order.of_geometry(geometry).spacing_mm_zyx
    panels = [
        _scaled(voxels.sum(1) * y_mm, z_mm, x_mm),
        _scaled(voxels.sum(2) * x_mm, z_mm, y_mm),
        _scaled(voxels.sum(0) * z_mm, y_mm, x_mm),
    ]
    file = io.BytesIO()
    imsave(file, np.hstack(panels), cmap="bone", format="png")
    return file.getvalue()


def _scaled(thickness_mm: NDArray[np.float64], row_mm: float, column_mm: float) -> NDArray[np.float64]:
    """Bring a projection to square pixels and the height of the picture, its brightest pixel to 1."""
    rows, columns = thickness_mm.shape
    width = max(1, round(_PANEL_PIXELS * (columns * column_mm) / (rows * row_mm)))
    row = (np.arange(_PANEL_PIXELS) * rows) // _PANEL_PIXELS
    column = (np.arange(width) * columns) // width
    return thickness_mm[row][:, column] / max(float(thickness_mm.max()), 1.0)
