"""A trained model that stays loaded and segments one CT after another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nnunet_femur.arguments import require_type, several
from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL
from nnunet_femur.errors import InputError, SetupError
from nnunet_femur.imaging.dicom_references import Algorithm
from nnunet_femur.imaging.geometry import image_of
from nnunet_femur.imaging.sources import Source, case_name
from nnunet_femur.prediction.bone_sides import tell_sides
from nnunet_femur.prediction.crop_model import CropModel, CropOfCt
from nnunet_femur.prediction.export import Exported, export
from nnunet_femur.prediction.network_input import ImageInMemory, NetworkInput, Readable, read_input
from nnunet_femur.prediction.output_channels import femur_channels, side_channels
from nnunet_femur.prediction.postprocessing import fill_holes, keep_largest
from nnunet_femur.prediction.prediction_options import Options
from nnunet_femur.prediction.preprocessing import network_spacing_mm
from nnunet_femur.prediction.search_record import about_search
from nnunet_femur.prediction.segmented_femur import Femur
from nnunet_femur.prediction.trained_model import Model, femur_labels, opened_model
from nnunet_femur.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    import SimpleITK as sitk
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from numpy.typing import NDArray

    from nnunet_femur.prediction.backends import Backend
    from nnunet_femur.prediction.box_logits import FoldLogits
    from nnunet_femur.prediction.search_record import Search


@dataclass(frozen=True)
class FoundMask:
    """The mask of a CT before its checks.

    Attributes:
        seen: The CT as the network saw it, without its voxels.
        exported: The mask and its companions in the network's orientation.
        mask_zyx: The mask (z, y, x) on the CT's own grid, after postprocessing.
        search: Record of the part of the CT that was searched.
        backend: Library that computed the network.
        precision: Precision that it computed in.
    """

    seen: NetworkInput
    exported: Exported
    mask_zyx: NDArray
    search: Search | None
    backend: str
    precision: str


class Segmenter:
    """Segments the femur in CTs with a trained model.

    The model is loaded once, when the segmenter is made, and stays loaded between calls. Several folds are an ensemble:
    a voxel is femur where the mean of their probabilities is above one half. An exported zip file is unpacked to a
    temporary folder, which is removed as soon as the model is loaded. ``close`` frees the memory of the networks; a
    ``with`` statement closes by itself.

    Args:
        model: A folder ``TRAINER__PLANS__CONFIGURATION``, one of its ``fold_K``, a folder above with a single model, or
            a zip file of ``nnUNetv2_export_model_to_zip``.
        folds: The folds to use, such as ``(0, 1)``. Default: all that are trained.
        checkpoint: Name of the checkpoint in each fold.
        device: "auto" (CUDA, then Apple's MPS, then the processor), "cpu", "cuda" or "mps".
        labels: Names of the model's labels that are femur. Default: those that contain the word femur.
        step_size: Distance between neighbouring windows as a fraction of the window, above 0 up to 1.
        mirror: Average over mirrored CTs too, where the model's trainer allows it.
        exhaustive: Compute all windows of a CT, instead of only those that reach within 25 mm of the femur.
        crop_to_bone: Predict only the box around everything as dense as bone: faster; voxels at the edge can differ.
        half: Compute in bfloat16 on processors that are fast in it, but not in float16; voxels at the edge can differ.
        backend: Library of the network: "torch", "openvino" (processors), or "auto" for the faster one installed.
        precision: Precision of the network: "float32", "float16", "bfloat16", or "auto" for float16 on CUDA devices and
            on processors that are fast in it, else float32.
        largest_component: Keep only the largest piece.
        fill_holes: Fill cavities.
        uncertainty: Compute the standard deviation over the folds, see :attr:`Femur.uncertainty`.
        sides: Distinguish the sides in the files that :meth:`Femur.save` writes. They are determined in any case.
        any_values: Segment volumes whose values are not HU, with a warning, instead of refusing them.

    Attributes:
        model: The model: its folder, folds, plans and labels.
        options: The options above.
        device: Name of the device that the networks run on.
        backend: Library that computes them: "torch" or "openvino".
        precision: Precision that they compute in: "float32", "float16" or "bfloat16".
        notes: Deviations from the options, such as a library that does not compute the network; texts for users.

    Raises:
        InputError: The model, a fold, a label or an option is invalid, or a checkpoint contains code.
        SetupError: The device does not exist, or the model's trainer is not installed.

    Example:
        >>> segmenter = Segmenter("model", device="cpu", mirror=False)
        >>> femur = segmenter("ct.nrrd")
        >>> femur.case, femur.mask.GetSize()
        ('ct', (32, 32, 48))
        >>> import SimpleITK as sitk
        >>> image = sitk.ReadImage("ct.nrrd")
        >>> segmenter(image).volume_ml == femur.volume_ml
        True
    """

    def __init__(
        self,
        model: str | Path | Model,
        *,
        folds: str | int | Iterable[str | int] | None = (),
        checkpoint: str = CHECKPOINT_FINAL,
        device: str = "auto",
        labels: str | Sequence[str] = (),
        step_size: float = 0.5,
        mirror: bool = True,
        exhaustive: bool = False,
        crop_to_bone: bool = False,
        half: bool = False,
        backend: str = "auto",
        precision: str = "auto",
        largest_component: bool = False,
        fill_holes: bool = False,
        uncertainty: bool = False,
        sides: bool = False,
        any_values: bool = False,
    ) -> None:
        self.options = Options(
            labels=several(labels),
            step_size=step_size,
            mirror=mirror,
            exhaustive=exhaustive,
            crop_to_bone=crop_to_bone,
            half=half,
            backend=backend,
            precision=precision,
            largest_component=largest_component,
            fill_holes=fill_holes,
            uncertainty=uncertainty,
            sides=sides,
            any_values=any_values,
        )
        if isinstance(model, Model):
            self._load(model, device)
        else:
            with opened_model(Path(model), folds=fold_names(folds), checkpoint=checkpoint) as found:
                self._load(found, device)

    def _load(self, model: Model, device: str) -> None:
        self.model = model
        self._femur = femur_labels(model.dataset["labels"], self.options.labels)
        self._algorithm = Algorithm(parameters={"model": model.name, "folds": "+".join(model.folds)})
        from nnunet_femur.prediction.predictor import choose_device, load_predictor

        target = choose_device(device)
        self.device = target.type
        self._predictor: nnUNetPredictor | None = load_predictor(
            model, device=target, step_size=self.options.step_size, mirror=self.options.mirror
        )
        # It does not find what other labels name.
        localises = not (self.options.exhaustive or self.options.labels)
        self._crop_model = CropModel.installed(target) if localises else None
        self._sides = side_channels(self._predictor, model.dataset["labels"], self._femur)
        self.notes: list[str] = []
        self._use(self.options.precision)

    def _use(self, precision: str) -> None:
        """Make the backend anew for a precision."""
        from nnunet_femur.prediction.backends.choice import backend_of

        options = self.options
        self._network: Backend | None = None
        made = backend_of(self._require_open(), backend=options.backend, precision=precision, half=options.half)
        self._network, self.backend, self.precision = made, made.name, made.precision
        made.notes[:0] = self.notes
        self.notes = made.notes

    def __call__(self, ct: str | Path | sitk.Image, *, progress: Progress = SILENT) -> Femur:
        """Segment the femur in one CT.

        Args:
            ct: A file, a folder with the slices of one DICOM series, or an image in HU.
            progress: Receives the progress of the passes through the network, as a task named after the CT.

        Returns:
            The femur, on the CT's own grid.

        Raises:
            VolumeError: The CT cannot be read, is too thin, or its values are not HU; its code is that of the finding.
            InputError: `ct` is neither a path nor an image (code "invalid-option").
            SetupError: The network does not fit into memory.
        """
        import SimpleITK as sitk

        in_file = isinstance(ct, str | Path)
        if not in_file:
            require_type("ct", ct, sitk.Image, "a path or a SimpleITK image")
        source: Readable = Source(case_name(Path(ct)), Path(ct)) if in_file else ImageInMemory(ct)
        task = f"  {source.case}"
        progress.begin(task)
        try:
            return self.segment(source, on_window=lambda done, total: progress.advance(task, done, total=total))
        finally:
            progress.end(task)

    def segment(self, source: Readable, *, on_window: Callable[[int, int], None] | None = None) -> Femur:
        """Segment one of the CTs that :func:`~nnunet_femur.imaging.sources.find_sources` returns.

        Args:
            source: The CT.
            on_window: Called after each pass through the network with the number of passes done and their total.

        Returns:
            The femur, as :meth:`__call__` does, which also lists the errors.
        """
        return self.check(self.find(self.read(source), on_window=on_window))

    def read(self, source: Readable) -> NetworkInput:
        """Read and preprocess a CT: the first of the three parts of :meth:`segment`, which a batch runs side by side.

        Args:
            source: The CT.
        """
        options = self.options
        return read_input(
            source,
            self._require_open(),
            crop_to_bone=options.crop_to_bone,
            any_values=options.any_values,
            crop_model=self._crop_model,
        )

    def find(self, seen: NetworkInput, *, on_window: Callable[[int, int], None] | None = None) -> FoundMask:
        """Run the network, and bring its mask to the CT's grid: the second part of :meth:`segment`.

        Args:
            seen: The CT as :meth:`read` returned it.
            on_window: Called after each pass through the network with the number of passes done and their total.
        """
        predictor, options = self._require_open(), self.options
        with seen.times.measuring("network"):
            try:
                logits = self._logits(seen, on_window)
            except InputError as error:
                if error.code != "invalid-model" or self.precision == "float32" or options.precision != "auto":
                    raise
                error.__traceback__ = None  # Its frames keep the sums over windows.
                self.notes.append(f"The network's output is infinite in {self.precision}; it computes in float32.")
                self._use("float32")
                logits = self._logits(seen, on_window)
        with seen.times.measuring("export"):
            wants_map = options.uncertainty and len(logits.values) > 1
            exported = export(
                logits, seen.preprocessed, predictor, femur=self._femur, deviation=wants_map, sides=self._sides
            )
            mask = seen.on_own_grid(exported.mask_zyx)
            if options.largest_component:
                mask = keep_largest(mask)
            if options.fill_holes:
                mask = fill_holes(mask)
        return FoundMask(seen.without_voxels(), exported, mask, logits.search, self.backend, self.precision)

    def _logits(self, seen: NetworkInput, on_window: Callable[[int, int], None] | None) -> FoldLogits:
        from nnunet_femur.prediction.fold_logits import logits_of_folds

        predictor = self._require_open()
        assert self._network is not None  # noqa: S101 - it is there as long as the predictor
        return logits_of_folds(
            predictor,
            self._network,
            seen.preprocessed.data,
            spacing_mm=network_spacing_mm(predictor, seen.preprocessed.properties["spacing"])[1],
            femur=femur_channels(predictor, self._femur),
            exhaustive=self.options.exhaustive,
            in_hu=seen.sample is not None,
            crop=CropOfCt.of(self._crop_model, seen.for_crop, predictor),
            on_window=on_window,
        )

    def check(self, found: FoundMask) -> Femur:
        """Determine sides, measure, and check a mask: the last part of :meth:`segment`.

        Args:
            found: The mask as :meth:`find` returned it.
        """
        seen, exported = found.seen, found.exported
        with seen.times.measuring("checks"):
            deviation, of_network = exported.deviation_zyx, exported.sides_zyx
            told = tell_sides(
                found.mask_zyx,
                seen.geometry,
                case=seen.case,
                network_zyx=None if of_network is None else seen.on_own_grid(of_network),
            )
            femur = Femur.from_mask(
                image_of(found.mask_zyx, seen.geometry),
                case=seen.case,
                findings=(*seen.findings, *about_search(seen.case, found.search)),
                ct=seen.sample,
                disagreement=exported.disagreement,
                uncertainty=None if deviation is None else image_of(seen.on_own_grid(deviation), seen.geometry),
                precision=found.precision,
                told=told,
                sides=self.options.sides,
            )
        return replace(
            femur,
            search=found.search,
            backend=found.backend,
            stage_seconds=seen.times.seconds,
            source=seen.path,
            algorithm=self._algorithm,
        )

    def _require_open(self) -> nnUNetPredictor:
        if self._predictor is None:
            msg = f"{self.model.name}: this segmenter is closed. Make a new one."
            raise SetupError(msg, code="no-model")
        return self._predictor

    def close(self) -> None:
        """Free the memory of the networks; the segmenter cannot be called any more."""
        self._predictor = self._network = self._crop_model = None

    def __enter__(self) -> Self:
        """Return the segmenter, which closes when the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the segmenter."""
        self.close()

    def __repr__(self) -> str:
        """Return model, device, backend and precision."""
        state = "closed" if self._predictor is None else f"{self.device}, {self.backend}, {self.precision}"
        return f"{type(self).__name__}({self.model.name!r}, {state})"


def fold_names(folds: str | int | Iterable[str | int] | None) -> tuple[str, ...]:
    """Return folds as nnU-Net names their folders: "0", "1", ..., "all"; none for None."""
    return tuple(str(fold) for fold in several(folds))
