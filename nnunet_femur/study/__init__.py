"""A study as a workflow: one file names data and methods, and one command runs all jobs that are not up to date.

Snakemake is the engine. It orders the jobs, runs them here or through SLURM, runs a job again when a job before it has
made a new result, and reports the start, end and failure of each job as structured events through its interface for
loggers (:mod:`nnunet_femur.study.engine_logger`). The jobs that are due come from the same events of a dry run.

Four things are ours:

- **Settings decide, by our own records.** A job is due when its settings differ from those in ``done/NAME.json``.
  Snakemake's triggers ``params`` and ``input`` compare with ``.snakemake/metadata`` instead, and would not keep what a
  study promises: metadata of an interrupted run, of a copy without hidden files or of another version of their format
  count as unchanged, so that a network of other settings would stay in the comparison; and studies of earlier versions
  of this package, whose metadata contain other parameters, would be trained again. Our records give the reason value by
  value ("recipe.epochs was 3, is 4"). Jobs that they find go to Snakemake as ``--forcerun``; everything after them is
  due by Snakemake's trigger ``mtime``. The code of this package is in no trigger: a new version trains nothing again.
- **The output of a job is its record.** If checkpoints and predictions were outputs of rules, Snakemake would delete
  those of a failed or interrupted job, and trainings could not continue from their last checkpoint.
- **The command's output gives progress and the reason of a failure.** nnU-Net's commands print text, and nothing else.
- **SLURM is asked for jobs of a killed run.** Snakemake does not recognise them (:mod:`nnunet_femur.study.slurm`). The
  plugin for SLURM reports the state in which a job ended as part of a message only.
"""

from nnunet_femur.study.forecast import print_plan
from nnunet_femur.study.methods import Method
from nnunet_femur.study.presets import PRESETS, preset_text, write_preset
from nnunet_femur.study.run import JobsFailedError, StudyResult, print_scores, run_study
from nnunet_femur.study.study_file import Study, read_study
from nnunet_femur.study.watch import Failure

__all__ = [
    "PRESETS",
    "Failure",
    "JobsFailedError",
    "Method",
    "Study",
    "StudyResult",
    "preset_text",
    "print_plan",
    "print_scores",
    "read_study",
    "run_study",
    "write_preset",
]
