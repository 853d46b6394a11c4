"""``--to onnx``: networks for ONNX Runtime, a description, and a short program that runs them."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nnunet_femur.atomic_files import write_json, write_text
from nnunet_femur.errors import SetupError
from nnunet_femur.model_export.onnx_description import describe, require_describable
from nnunet_femur.model_export.targets import Target
from nnunet_femur.processes import running

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnunet_femur.model_export.trained_networks import TrainedNetworks

DESCRIPTION = "model.json"
"""File that describes the model to programs."""

RUNNER = "run_onnx.py"
"""Program that runs the model."""

SOURCES = Path(__file__).parent / "runner"
"""Folder of the programs that are copied into exports."""

_OF_SLICES = "run_slices.py"
_SESSION = "from onnxruntime import InferenceSession\n"
_SESSION_OF_SLICES = "from run_slices import InferenceSession\n"


class OnnxTarget(Target):
    """A folder with networks in ONNX, their description, and a program that needs ONNX Runtime and SimpleITK alone."""

    name: ClassVar[str] = "onnx"
    title: ClassVar[str] = "ONNX"
    takes_device: ClassVar[bool] = False

    def require_exportable(self, networks: TrainedNetworks) -> None:
        """Refuse models that the runner cannot run, and a machine without ONNX."""
        missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
        if missing:
            msg = f"{', '.join(missing)}: not installed. Run: pip install 'nnunet_femur[onnx]'"
            raise SetupError(msg, code="not-installed")
        require_describable(networks)

    def write(self, networks: TrainedNetworks, folder: Path) -> None:
        """Write the networks, their description and the program."""
        from nnunet_femur.model_export.onnx_networks import three_planes_of, write_networks

        planes = three_planes_of(networks)
        write_networks(networks, folder)
        write_json(folder / DESCRIPTION, describe(networks, planes), durable=False)
        program = (SOURCES / RUNNER).read_text(encoding="utf-8")
        if planes is not None:
            program = program.replace(_SESSION, _SESSION_OF_SLICES)
            shutil.copyfile(SOURCES / _OF_SLICES, folder / _OF_SLICES)
        write_text(folder / RUNNER, program, durable=False)

    def masks(
        self, networks: TrainedNetworks, folder: Path, ct: Path, *, workspace: Path, device: str
    ) -> list[NDArray[np.bool_]]:
        """Predict with the exported program, which chooses its device by itself."""
        del device
        return [run_exported(folder, ct, workspace / f"fold_{fold}.nrrd", folds=(fold,)) for fold in networks.folds]

    def program(self) -> str:
        """Return the program and the version of ONNX Runtime."""
        return f"{RUNNER}, onnxruntime {version('onnxruntime')}, SimpleITK {version('SimpleITK')}"

    def usage(self, networks: TrainedNetworks) -> str:
        """Return the command that runs the model, and the interface of its networks."""
        from nnunet_femur.model_export.onnx_networks import three_planes_of

        planes = three_planes_of(networks)
        if planes is not None:
            channels = 1 + 2 * planes.neighbours
            network = _SLICES.format(channels=channels, stride=planes.stride, classes=networks.channels)
        else:
            window = describe(networks, None)["window"]
            network = _WINDOWS.format(window=", ".join(map(str, window)), classes=networks.channels)
        return _USAGE.format(network=network)

    def limits(self, networks: TrainedNetworks) -> list[str]:  # noqa: ARG002
        """Return what the program leaves out."""
        return [
            f"`{RUNNER}` writes the network's mask, without nnunet_femur's checks of the CT and of the mask. It does "
            "not distinguish left from right, and does not repair headers or values of the CT."
        ]


def run_exported(folder: Path, ct: Path, output: Path, *, folds: tuple[str, ...] = ()) -> NDArray[np.bool_]:
    """Run the program of an export in a process of its own.

    Args:
        folder: The exported folder.
        ct: The CT.
        output: The mask to write.
        folds: The folds to use. Default: all.

    Returns:
        The mask, on the grid of the CT, axes z, y, x.

    Raises:
        SetupError: The program failed (code "program-failed").
    """
    import SimpleITK as sitk

    command = [sys.executable, str(folder / RUNNER), str(ct), str(output), *folds]
    # The folder must not contain compiled files of this machine.
    with running(command, os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}) as process:
        text = process.stdout.read() if process.stdout else ""
    if process.returncode != 0 or not output.is_file():
        last = text.strip().rpartition("\n")[2]
        msg = f"{folder / RUNNER}: failed ({last}). Nothing was written."
        raise SetupError(msg, code="program-failed")
    return sitk.GetArrayFromImage(sitk.ReadImage(str(output))) > 0


_USAGE = """\
The model runs with ONNX Runtime and SimpleITK alone, without PyTorch, nnU-Net and nnunet_femur:

```bash
pip install onnxruntime SimpleITK
python run_onnx.py CT.nrrd MASK.nrrd
```

The CT is a file that SimpleITK reads, in HU and any orientation, or a folder with the slices of one DICOM series. The
mask is 1 in the femur, on the CT's own grid. Several folds are an ensemble; `python run_onnx.py CT MASK 0` uses fold 0
alone. Other programs find everything that they need in `model.json`, where each key is explained. {network}
"""

_WINDOWS = """\
Each
`fold_K.onnx` maps `windows`, float32 of shape (n, 1, {window}), to `logits` of shape (n, {classes}, {window})."""

_SLICES = """\
Each
`fold_K.onnx` maps `slices`, float32 of shape (n, {channels}, rows, columns), to `probabilities` of shape (n, {classes},
rows, columns), with rows and columns that are multiples of {stride}; `run_slices.py` cuts a volume into slices."""
