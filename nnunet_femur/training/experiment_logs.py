"""Facts of a training in nnU-Net's loggers: W&B, which nnU-Net has, and TensorBoard, which it lacks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_femur.consistency import SOURCE_KEY, fingerprint
from nnunet_femur.errors import InputError, SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

TENSORBOARD = "NNFEMUR_TENSORBOARD"
"""Environment variable that switches TensorBoard on: ``1``, or a folder that gets a subfolder per training."""

_NOT_SUMMARISED = ("curves", "recipe", "command", "versions")
"""Entries of ``run.json`` that loggers get elsewhere, or cannot show."""


def start_logs(trainer: nnUNetTrainer) -> None:
    """Add TensorBoard to a trainer's loggers, and pass recipe and consistency fingerprint to all of them.

    Args:
        trainer: The trainer; nnU-Net has made its logger.

    Raises:
        InputError: The environment variable has an invalid value (code "invalid-option").
        SetupError: TensorBoard is not installed (code "not-installed").
    """
    # Of several processes, only the first one writes.
    if trainer.local_rank == 0 and (folder := _tensorboard_folder(trainer)) is not None:
        trainer.logger.loggers.append(TensorBoardLogger(folder))
    plans, configuration = trainer.plans_manager.plans, trainer.configuration_manager.configuration
    source = configuration.get(SOURCE_KEY)
    trainer.logger.update_config(
        {
            "trainer": type(trainer).__name__,
            "recipe": trainer.recipe.as_dict(),
            "consistency": fingerprint(plans, configuration),
            **({"source_weights": source} if source else {}),
        }
    )


def log_record(trainer: nnUNetTrainer, record: Mapping[str, Any]) -> None:
    """Pass the facts of ``run.json`` to the loggers, as summary values ``run/NAME``.

    Args:
        trainer: The trainer.
        record: Content of ``run.json``.
    """
    for name, value in _flat(record, "run"):
        trainer.logger.log_summary(name, value)


def _flat(content: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in content.items():
        if name in _NOT_SUMMARISED or value is None:
            continue
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}/{name}")
        else:
            found.append((f"{prefix}/{name}", json.dumps(value) if isinstance(value, list) else value))
    return found


def _tensorboard_folder(trainer: nnUNetTrainer) -> Path | None:
    given = os.environ.get(TENSORBOARD, "0").strip()
    if given.lower() in ("", "0", "false"):
        return None
    fold = Path(trainer.output_folder)
    if given.lower() in ("1", "true"):
        return fold / "tensorboard"
    if not Path(given).expanduser().is_absolute():
        msg = f"{TENSORBOARD} must be 0, 1 or the absolute path of a folder, got {given!r}."
        raise InputError(msg, code="invalid-option")
    return Path(given).expanduser().joinpath(*fold.parts[-3:])


class TensorBoardLogger:
    """A logger with the three methods that nnU-Net's ``MetaLogger`` calls.

    Curves become scalars by epoch, settings and summary values texts; numbers among the summary values are scalars.
    A resumed training hides the epochs that it trains again.

    Args:
        folder: Folder of the event files.

    Raises:
        SetupError: TensorBoard is not installed (code "not-installed").
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            msg = f"{TENSORBOARD}: TensorBoard is not installed. Run: pip install tensorboard"
            raise SetupError(msg, code="not-installed") from error
        self._make = SummaryWriter
        self._folder = folder
        self._writer: Any = None
        self._pending: dict[str, Any] = {}
        self._step = 0

    def update_config(self, config: Mapping[str, Any]) -> None:
        """Write settings as texts."""
        self._pending.update(config)

    def log(self, key: str, value: Any, step: int) -> None:
        """Write a value of an epoch.

        Args:
            key: Name of the curve.
            value: The value.
            step: The epoch.
        """
        writer = self._opened(step, purge_step=step)
        writer.add_scalar(key, float(value), step)
        self._step = step

    def log_summary(self, key: str, value: Any) -> None:
        """Write a value that belongs to the whole training."""
        writer = self._opened(self._step)
        if isinstance(value, int | float) and not isinstance(value, bool):
            writer.add_scalar(key, float(value), self._step)
        else:
            writer.add_text(key, str(value), self._step)
        writer.flush()

    def _opened(self, step: int, purge_step: int | None = None) -> Any:
        """Return the writer; it hides earlier values from an epoch on, unless only the validation is repeated."""
        if self._writer is None:
            self._writer = self._make(str(self._folder), purge_step=purge_step)
        for name, content in self._pending.items():
            self._writer.add_text(name, f"```json\n{json.dumps(content, indent=1, default=str)}\n```", step)
        self._pending.clear()
        return self._writer
