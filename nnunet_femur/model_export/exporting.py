"""Export a trained model: files of another program, model card, checksums and a recorded parity check."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur import records
from nnunet_femur.atomic_files import cannot_write, make_folder, rename, rename_flushed, write_json, write_text
from nnunet_femur.dataset.nnunet_names import CHECKPOINT_FINAL
from nnunet_femur.errors import InputError
from nnunet_femur.model_export.card_facts import find_scores
from nnunet_femur.model_export.model_card import model_card
from nnunet_femur.model_export.parity import check_parity
from nnunet_femur.model_export.targets import CARD, target_of
from nnunet_femur.model_export.trained_networks import load_networks
from nnunet_femur.prediction.segmenter import fold_names
from nnunet_femur.prediction.trained_model import opened_model
from nnunet_femur.progress import SILENT, Progress
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nnunet_femur.model_export.parity import Parity
    from nnunet_femur.model_export.trained_networks import TrainedNetworks

PARITY = "parity.json"
"""File with the parity check and the origin of an export."""

SUMS = "SHA256SUMS"
"""File with the checksums of all others, in the form of ``sha256sum``."""

_PACKAGES = ("nnunetv2", "torch", "numpy", "SimpleITK")
"""Packages whose versions are recorded."""


@dataclass(frozen=True)
class ExportedModel:
    """An exported model.

    Attributes:
        folder: Its folder.
        target: Name of the format.
        files: All files, relative to the folder.
        parity: The parity check.

    Example:
        >>> from nnunet_femur.model_export.parity import Parity
        >>> checked = Parity("a phantom", "nnunetv2", "cpu", "float32", folds=())
        >>> ExportedModel(Path("shared"), "nnunet", files=(), parity=checked).card
        PosixPath('shared/MODEL_CARD.md')
    """

    folder: Path
    target: str
    files: tuple[Path, ...]
    parity: Parity

    @property
    def card(self) -> Path:
        """The model card, in Markdown."""
        return self.folder / CARD


def export(
    model: str | Path,
    output: str | Path,
    *,
    to: str = "nnunet",
    folds: str | int | Iterable[str | int] | None = (),
    checkpoint: str = CHECKPOINT_FINAL,
    device: str = "cpu",
    scores: str | Path | None = None,
    ct: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> ExportedModel:
    """Export a trained model, so that it runs without this package.

    The exported model and the original predict the same CT. The export is refused if their masks differ by more than
    rounding. The folder appears only when it is complete.

    Args:
        model: A folder ``TRAINER__PLANS__CONFIGURATION``, one of its ``fold_K``, a folder above with a single model, or
            a zip file of ``nnUNetv2_export_model_to_zip``.
        output: The folder to write.
        to: "nnunet" (a zip file for stock nnU-Net), "totalsegmentator" (a weights folder), or "onnx" (networks for ONNX
            Runtime, with a program that runs them).
        folds: The folds to export, such as ``(0, 1)``. Default: all that are trained.
        checkpoint: Name of the checkpoint in each fold.
        device: Device of the parity check: "auto", "cpu", "cuda" or "mps".
        scores: ``scores.csv`` of ``nnfemur compare``, for the model card.
        ct: CT for the parity check. Default: a phantom.
        overwrite: Replace an earlier export in `output`.
        progress: Receives the progress.

    Returns:
        The folder and the parity check.

    Raises:
        InputError: The model does not exist (code "no-model"), cannot be exported to this format ("unsupported"), an
            option is invalid ("invalid-option"), or `output` exists ("exists").
        SetupError: Packages for the format are missing (code "not-installed"), the masks of both differ
            ("export-differs"), the program of the check failed ("program-failed"), or the folder cannot be written
            ("cannot-write").

    Example:
        >>> exported = export("model", "exported", to="nnunet")
        >>> [file.name for file in exported.files if file.suffix == ".zip"]
        ['Dataset294_TotalSegmentator_part4_muscles_1559subj__nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres.zip']
        >>> exported.parity.differing_voxels
        0
    """
    from nnunet_femur.prediction.predictor import choose_device

    target, folder = target_of(to), Path(output).expanduser().resolve()
    used = choose_device(device).type
    target.require_place(folder)
    _require_replaceable(folder, overwrite=overwrite)
    with opened_model(Path(model), folds=fold_names(folds), checkpoint=checkpoint) as found:
        networks = load_networks(found)
        target.require_exportable(networks)
        table = None if scores is None else Path(scores)
        # Before the parity check, which takes long.
        find_scores(networks, table)
        with _written_folder(folder, overwrite=overwrite) as partial:
            target.write(networks, partial)
            parity = check_parity(
                networks, target, partial, ct=None if ct is None else Path(ct), device=used, progress=progress
            )
            card = model_card(networks, target, parity, scores=table)
            write_text(partial / CARD, card, durable=False)
            write_json(partial / PARITY, _record(networks, target.name, parity), durable=False)
            target.finish(networks, partial, card)
            write_text(partial / SUMS, _sums(partial), durable=False)
    files = tuple(path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return ExportedModel(folder, target.name, files, parity)


def _record(networks: TrainedNetworks, target: str, parity: Parity) -> dict[str, Any]:
    return {
        "made_by": "nnunet_femur",
        "target": target,
        "date": datetime.now(UTC).date().isoformat(),
        "model": {
            "dataset": networks.model.plans.get("dataset_name"),
            "trainer": networks.trainer,
            "configuration": networks.configuration_name,
            "folds": list(networks.folds),
            "sha256": networks.model.digest(),
        },
        "versions": {"nnunet_femur": __version__} | {name: version(name) for name in _PACKAGES},
        "parity": parity.as_dict(),
    }


def _sums(folder: Path) -> str:
    """Return the checksums of all files in a folder, a line each, as ``sha256sum -c`` reads them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{records.sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)


def _require_replaceable(folder: Path, *, overwrite: bool) -> None:
    """Refuse an existing folder, unless it contains an earlier export that may be replaced.

    Raises:
        InputError: The folder exists (code "exists").
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    record = records.read_json(folder / PARITY)
    ours = isinstance(record, dict) and record.get("made_by") == "nnunet_femur"
    if ours and overwrite:
        return
    fix = "Choose another folder, or replace it with --overwrite." if ours else "Choose another folder."
    msg = f"{folder}: exists{'' if ours else ' and is not an export of nnfemur'}. {fix}"
    raise InputError(msg, code="exists")


def _recover(folder: Path) -> None:
    """Put back an earlier export that a run was replacing when it failed or was killed, between two renames."""
    previous = _beside(folder, "previous")
    if previous.exists() and not folder.exists():
        rename(previous, folder)


def _beside(folder: Path, state: str) -> Path:
    return folder.with_name(f".{folder.name}.{state}")


@contextmanager
def _written_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty hidden folder beside `folder`, which replaces it unless there was an exception."""
    make_folder(folder.parent)
    partial, previous = _beside(folder, "partial"), _beside(folder, "previous")
    busy = f"{folder}: another export is writing this folder. Wait until it has finished."
    with records.locked(_beside(folder, "lock"), busy=busy):
        try:
            # What a killed run left.
            shutil.rmtree(partial, ignore_errors=True)
            _recover(folder)
            _require_replaceable(folder, overwrite=overwrite)
            partial.mkdir()
            yield partial
            _require_replaceable(folder, overwrite=overwrite)
            if folder.exists():
                shutil.rmtree(previous, ignore_errors=True)
                rename(folder, previous)
            rename_flushed(partial, folder)
        except OSError as error:
            raise cannot_write(folder, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            with suppress(OSError):
                _recover(folder)
            if folder.exists():
                shutil.rmtree(previous, ignore_errors=True)
