"""Snakemake with a logger of ours, which writes the events of jobs as JSON lines.

    python -m nnunet_femur.study.engine_logger EVENTS.jsonl SNAKEMAKE_ARGUMENTS...

Snakemake runs in a separate process, since it changes the working directory and the signal handlers of its process. The
logger is a plugin by Snakemake's interface for loggers (``snakemake-interface-logger-plugins``), registered here, so
that no second distribution has to be installed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

if TYPE_CHECKING:
    from logging import LogRecord

NAME = "nnfemur"
"""Name of the plugin."""


class LogHandler(LogHandlerBase):
    """Writer of one JSON line for each job that Snakemake starts, finishes or gives up.

    Lines have the keys ``event`` ("started", "finished" or "failed"), ``rule``, and ``reason`` (of the start) or
    ``message`` (of the failure, as the executor gives it).
    """

    path: Path
    writes_to_stream = False
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Start a new file."""
        self._rules: dict[int, str] = {}
        self._file = self.path.open("w", encoding="utf-8")

    def emit(self, record: LogRecord) -> None:
        """Write the event of a job; a record of another form is reported by Python's logging and does no harm."""
        try:
            self._emit(record.__dict__)
        except Exception:  # noqa: BLE001 - an exception would end the thread of all later events
            self.handleError(record)

    def _emit(self, given: dict[str, Any]) -> None:
        event = given.get("event")
        if event == LogEvent.JOB_INFO:
            self._rules[given["jobid"]] = given["rule_name"]
            self._write(event="started", rule=given["rule_name"], reason=given["reason"])
        elif event == LogEvent.JOB_FINISHED and given["job_id"] in self._rules:
            self._write(event="finished", rule=self._rules[given["job_id"]])
        elif event == LogEvent.JOB_ERROR:
            self._write(event="failed", rule=given["rule_name"], message=given["rule_msg"] or "")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _write(self, **content: str) -> None:
        self._file.write(json.dumps(content) + "\n")
        # The study reads the file while Snakemake runs, and after it was killed.
        self._file.flush()


def main() -> None:
    """Run Snakemake's command with the logger."""
    from snakemake.cli import main as snakemake
    from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

    LogHandler.path = Path(sys.argv[1]).absolute()
    plugin = ModuleType(NAME)
    plugin.LogHandler = LogHandler  # type: ignore[attr-defined]
    LoggerPluginRegistry().register_plugin(NAME, plugin)
    snakemake([*sys.argv[2:], "--logger", NAME])


if __name__ == "__main__":
    main()
