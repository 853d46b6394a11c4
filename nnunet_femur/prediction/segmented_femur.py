"""A segmented femur: its mask, its measures, and the files that it is saved as."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnunet_femur.arguments import require_type, several
from nnunet_femur.atomic_files import make_folder
from nnunet_femur.errors import InputError
from nnunet_femur.imaging.dicom_files import DICOM_ENDINGS, dicom_format
from nnunet_femur.imaging.geometry import Geometry, image_of
from nnunet_femur.imaging.sides import LEFT, RIGHT, UNKNOWN
from nnunet_femur.imaging.writing import WRITTEN_ENDINGS, write_volume
from nnunet_femur.prediction.bone_sides import VALUES, SidedFemurs, given_sides, side_of, tell_sides
from nnunet_femur.prediction.femur_picture import projections
from nnunet_femur.prediction.mask_files import file_ending, mask_surface, write_mask_surface, write_masks
from nnunet_femur.prediction.plausibility import check_femurs
from nnunet_femur.prediction.prediction_kinds import review_score
from nnunet_femur.prediction.prediction_options import require_formats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import SimpleITK as sitk

    from nnunet_femur.findings import Finding
    from nnunet_femur.imaging.dicom_references import Algorithm
    from nnunet_femur.imaging.surface_mesh import Surface
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements
    from nnunet_femur.prediction.ct_under_mask import CtSample
    from nnunet_femur.prediction.search_record import Search


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
        left: The left femur, uint8; None if no femur of the mask is known to be the left one.
        right: The right femur, likewise.
        precision: Precision that the network computed in, such as "float32"; empty if it is not known.
        backend: Library that computed the network, "torch" or "openvino"; empty if it is not known.
        measurements: Measurements of each femur in the mask, the largest first, with its side and the side's origin.
        findings: Findings with codes about CT, mask, shape and sides, whose problems are also among the warnings.
        sides: True if :meth:`save` distinguishes the sides.
        stage_seconds: Seconds that each stage of the prediction took, of
            :data:`nnunet_femur.prediction.stage_times.STAGES` without ``write``; empty if the mask was not predicted.
        search: Record of the part of the CT in which the femur was searched; None if the mask was not predicted.
        source: Path of the CT, to whose slices DICOM files refer; None if it is not known.
        algorithm: The algorithm that made the mask, as DICOM files name it; None for this package without a model.

    Example:
        >>> import SimpleITK as sitk
        >>> femur = Femur.from_mask(sitk.ReadImage("reference.nrrd"), case="L001")
        >>> femur
        Femur('L001', 418.7 ml, pieces=1, warnings=())
        >>> femur.side
        'left'
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
    measurements: tuple[FemurMeasurements, ...] = ()
    findings: tuple[Finding, ...] = ()
    sides: bool = False
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    search: Search | None = None
    backend: str = ""
    source: Path | None = None
    algorithm: Algorithm | None = None

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
        told: SidedFemurs | None = None,
        sides: bool = False,
        findings: Sequence[Finding] = (),
        ct: CtSample | None = None,
    ) -> Femur:
        """Measure a mask, determine its sides, and check whether it is plausible.

        Args:
            mask: The mask, not 0 in the femur, of any integer type.
            case: Name of the CT. A side in it ("L001") is compared with the shape.
            left: The left femur alone, if the sides are known. Each side is checked by itself then.
            right: The right femur alone, likewise.
            warnings: Warnings about the CT, which come first.
            disagreement: Disagreement of the folds.
            uncertainty: Standard deviation over the folds.
            precision: Precision that the network computed in.
            told: The femurs of the mask with their sides. Default: those of `left` and `right`, or by shape.
            sides: Distinguish the sides in files. There is then a warning about a side that is unknown, or that was
                determined neither by a network nor by shape.
            findings: Findings about the CT, whose problems come after `warnings`.
            ct: A sample of the CT in HU, on the grid of the mask, with which the mask is compared.

        Raises:
            InputError: The mask is not an image (code "invalid-option").
        """
        import SimpleITK as sitk

        require_type("mask", mask, sitk.Image, "a SimpleITK image")
        voxels, geometry = sitk.GetArrayViewFromImage(mask), Geometry.of(mask)
        if voxels.dtype != np.uint8 or voxels.max(initial=0) > 1:
            # Files of a mask of other values would contradict the value of their segment.
            mask = image_of((voxels != 0).astype(np.uint8), geometry)
            voxels = sitk.GetArrayViewFromImage(mask)
        given = {
            name: sitk.GetArrayViewFromImage(each) for name, each in ((LEFT, left), (RIGHT, right)) if each is not None
        }
        if told is None:
            told = given_sides(voxels, given, geometry, case=case) if given else tell_sides(voxels, geometry, case=case)
        if not given:
            of_side = {name: told.values_zyx == VALUES[name] for name in (LEFT, RIGHT)}
            left, right = (
                image_of(each.astype(np.uint8), geometry) if each.any() else None for each in of_side.values()
            )
        of_sides = {
            name: sitk.GetArrayViewFromImage(each) for name, each in ((LEFT, left), (RIGHT, right)) if each is not None
        }
        of_sides = {} if told.unknown else {name: each for name, each in of_sides.items() if each.any()}
        whole, implausible = check_femurs(voxels, geometry, told.femurs, case=case, sides_zyx=of_sides, ct=ct)
        found = (*findings, *implausible, *told.findings)
        texts = [each.problem.rstrip(".") for each in found]
        return cls(
            case,
            mask,
            whole.volume_ml,
            whole.pieces,
            (*warnings, *texts, *(told.doubts() if sides else ())),
            disagreement,
            uncertainty,
            left,
            right,
            precision,
            told.femurs,
            found,
            sides,
        )

    @property
    def review_score(self) -> float:
        """Urgency of a look at the mask, 0 to 1, by its findings and the disagreement of the folds."""
        return review_score((each.code for each in self.findings), self.disagreement)

    @property
    def side(self) -> str:
        """Side of the femur: "left", "right", "both" for two femurs, or "unknown"."""
        return side_of(self.measurements)

    @property
    def side_source(self) -> str:
        """Origin of the side: "network", "shape", "other-bone", "position" or "id"; several are joined by a plus."""
        return "+".join(dict.fromkeys(each.side_source for each in self.measurements if each.side_source))

    @property
    def labels(self) -> sitk.Image:
        """The mask with sides, uint8: 1 in the left femur, 2 in the right one, 3 in a femur of unknown side."""
        import SimpleITK as sitk

        values = (sitk.GetArrayViewFromImage(self.mask) != 0) * np.uint8(VALUES[UNKNOWN])
        for name, each in ((LEFT, self.left), (RIGHT, self.right)):
            if each is not None:
                values[sitk.GetArrayViewFromImage(each) != 0] = VALUES[name]
        return image_of(values, Geometry.of(self.mask))

    def surface(self, *, edge_mm: float | None = None) -> Surface:
        """Return the smoothed, closed surface of the mask: points in LPS mm and triangles.

        No point is moved by more than half a voxel along any axis. An empty mask has no triangles.

        Args:
            edge_mm: Edge length of uniform triangles in mm, as models need them, see
                :func:`~nnunet_femur.measurement.model_surface`. None: triangles of the size of the voxels.

        Raises:
            InputError: With an edge length: the mask is empty ("no-femur"), the length is out of range
                ("invalid-option"), or no closed mesh was found ("unsupported").
        """
        return mask_surface(self.mask, edge_mm)

    def save(
        self,
        path: str | Path,
        *,
        formats: str | Sequence[str] = ("nrrd",),
        stl: bool = False,
        edge_mm: float | None = None,
    ) -> tuple[Path, ...]:
        """Save the femur, as one file or as all files of a case in a folder.

        Args:
            path: A file, whose ending chooses its kind: ``.nrrd .nii.gz .nii .mha`` for the mask, ``.seg.nrrd`` for
                3D Slicer, ``.seg.dcm`` and ``.rtstruct.dcm`` for DICOM, ``.stl`` for the surface. Or a folder, which is
                created if it does not exist: it gets a file for each format, ``CASE_uncertainty.nrrd`` if there is an
                uncertainty, and ``CASE.stl``. With :attr:`sides`, masks have the values of :attr:`labels`,
                segmentations a segment for each side, and the folder gets ``CASE_left.stl`` and ``CASE_right.stl``
                (``CASE_unknown.stl``) instead.
            formats: Formats of the masks in a folder: "nrrd", "seg.nrrd", "nii.gz", "dicom-seg", "rtstruct". DICOM
                files refer to the slices of the CT, and always distinguish the sides.
            edge_mm: Edge length of surfaces for models in mm, see :meth:`surface`; None: as fine as the voxels.
            stl: Write the surface into the folder. An empty mask has none, and that of an earlier run is removed.

        Returns:
            The written files.

        Raises:
            InputError: A format is not one of these, or the surface of an empty mask is asked for as a file (code
                "no-femur"), or a DICOM file of a CT that is not a DICOM series ("unsupported").
            SetupError: A file cannot be written (code "cannot-write").
        """
        path = Path(path)
        name = "" if path.is_dir() else path.name.lower()
        folder = path.parent if name.endswith((".stl", *WRITTEN_ENDINGS, *DICOM_ENDINGS.values())) else path
        make_folder(folder)
        if folder == path:
            return self._save_case(folder, several(formats), stl=stl, edge_mm=edge_mm)
        if not name.endswith(".stl"):
            self._write_masks([path])
        elif not write_mask_surface(self.mask, path, edge_mm):
            msg = f"{path}: not written, since the mask is empty and has no surface."
            raise InputError(msg, code="no-femur")
        return (path,)

    def _save_case(
        self, folder: Path, formats: tuple[str, ...], *, stl: bool, edge_mm: float | None
    ) -> tuple[Path, ...]:
        import SimpleITK as sitk

        require_formats(formats)
        paths = [folder / f"{self.case}{file_ending(form)}" for form in formats]
        self._write_masks(paths)
        if self.uncertainty is not None:
            paths.append(folder / f"{self.case}_uncertainty.nrrd")
            # Finer differences mean nothing, and rounded the file takes a tenth of the space.
            rounded = np.round(sitk.GetArrayViewFromImage(self.uncertainty), 3)
            image = sitk.GetImageFromArray(rounded)
            image.CopyInformation(self.uncertainty)
            write_volume(image, paths[-1])
        if stl:
            surfaces = {folder / f"{self.case}{ending}.stl": mask for ending, mask in self._surface_masks().items()}
            paths += [path for path, mask in surfaces.items() if write_mask_surface(mask, path, edge_mm)]
        return tuple(paths)

    def _surface_masks(self) -> dict[str, sitk.Image]:
        """Return the masks whose surfaces are written, by the end of their names."""
        if not self.sides:
            return {"": self.mask}
        labels = self.labels
        return {f"_{side}": labels == value for side, value in VALUES.items()}

    def _write_masks(self, paths: Sequence[Path]) -> None:
        source = self.source or Path(self.case)
        # The labels take a tenth of a second in a large CT.
        labels = self.labels if self.sides or any(map(dicom_format, paths)) else self.mask
        write_masks(paths, self.mask, labels, sides=self.sides, source=source, algorithm=self.algorithm)

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
        picture = base64.b64encode(projections(self.mask)).decode("ascii")
        image = f'<img alt="coronal, sagittal and axial projection of the mask" src="data:image/png;base64,{picture}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure><ul>{warnings}</ul>"
