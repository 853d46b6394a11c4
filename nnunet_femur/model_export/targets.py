"""Formats that a model can be exported to: the interface, and the table of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from nnunet_femur.dataset.raw import FILE_ENDING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.model_export.trained_networks import TrainedNetworks


class Target(ABC):
    """A format to export to.

    :func:`~nnunet_femur.model_export.export` calls the methods in this order: :meth:`require_place`,
    :meth:`require_exportable`, :meth:`write`, :meth:`masks` (the parity check), :meth:`usage` (for the model card),
    :meth:`finish`. The folder is hidden until all of them have succeeded.

    Attributes:
        name: Name of the format, as in ``--to``.
        title: Name of the format for readers.
        takes_device: True if the program that :meth:`masks` runs computes on the device that it is given.
        check_orientation: Orientation in which the CT of the parity check is stored.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    takes_device: ClassVar[bool] = True
    check_orientation: ClassVar[str] = "LPS"

    @abstractmethod
    def require_exportable(self, networks: TrainedNetworks) -> None:
        """Refuse a model that this format cannot contain; nothing has been written yet.

        Raises:
            InputError: The model cannot be exported (code "unsupported").
        """

    def require_place(self, folder: Path) -> None:  # noqa: B027
        """Refuse a folder to write to; by default, allow every folder.

        Raises:
            InputError: The folder is for something else (code "exists").
        """

    @abstractmethod
    def write(self, networks: TrainedNetworks, folder: Path) -> None:
        """Write the model into an empty folder."""

    @abstractmethod
    def masks(
        self, networks: TrainedNetworks, folder: Path, ct: Path, *, workspace: Path, device: str
    ) -> list[NDArray[np.bool_]]:
        """Predict a CT with the written model, by the program that its users will run, in a process of its own.

        Args:
            networks: The model.
            folder: The folder that :meth:`write` has filled.
            ct: The CT.
            workspace: An empty folder for temporary files.
            device: "cpu", "cuda" or "mps".

        Returns:
            The femur's mask of each fold, on the grid of the CT as it is stored, axes z, y, x.

        Raises:
            SetupError: The program failed (code "program-failed").
        """

    def check_ending(self, networks: TrainedNetworks) -> str:
        """Return the ending of the CT of the parity check; by default, that of the model's dataset."""
        ending: str = networks.model.dataset.get("file_ending", FILE_ENDING)
        return ending

    @abstractmethod
    def program(self) -> str:
        """Return the name and the version of the program that :meth:`masks` runs."""

    @abstractmethod
    def usage(self, networks: TrainedNetworks) -> str:
        """Return the section of the model card about how to use the files: Markdown without a heading."""

    def limits(self, networks: TrainedNetworks) -> list[str]:  # noqa: ARG002
        """Return limits of this format, a sentence each, for the model card."""
        return []

    def finish(self, networks: TrainedNetworks, folder: Path, card: str) -> None:  # noqa: B027
        """Pack the written files, after the parity check; by default, leave them as they are.

        Args:
            networks: The model.
            folder: The folder.
            card: The model card, which is also written into `folder`.
        """


CARD = "MODEL_CARD.md"
"""File with the model card."""

_CLASSES = {
    "nnunet": ("stock_target", "StockTarget"),
    "totalsegmentator": ("totalsegmentator_target", "TotalSegmentatorTarget"),
    "onnx": ("onnx_target", "OnnxTarget"),
}
"""Module and class of each format. A new format needs a line here."""

TARGETS = tuple(_CLASSES)
"""Names of the formats."""


def target_of(name: str) -> Target:
    """Return the format of a name.

    Args:
        name: One of :data:`TARGETS`.

    Raises:
        InputError: There is no such format (code "invalid-option").
    """
    from nnunet_femur.arguments import require_one_of

    require_one_of("to", name, TARGETS)
    module, target = _CLASSES[name]
    made: Target = getattr(import_module(f"nnunet_femur.model_export.{module}"), target)()
    return made
