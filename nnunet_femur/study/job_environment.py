"""Environment variables of jobs, and the resources that they request of Snakemake or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.dataset.environment import sleeping_threads, variables
from nnunet_femur.study.jobs import ON_GPU

if TYPE_CHECKING:
    from nnunet_femur.study.study_file import Study


def environment_of(study: Study, device: str, threads: int) -> dict[str, str]:
    """Return the environment variables of a job's command; those of the study's file take precedence.

    Args:
        study: The study.
        device: Device of training and prediction.
        threads: CPUs of the job.
    """
    sized = _for_processors(threads) if device == "cpu" else _beside_gpu(threads)
    return {**variables(study.folder), **sleeping_threads(), **sized, **study.environment}


def _for_processors(threads: int) -> dict[str, str]:
    """Return nnU-Net's settings for a machine without a GPU: data are loaded in the training process.

    Each further process imports nnU-Net again, which takes longer than all its work.
    """
    return {
        "nnUNet_n_proc_DA": "0",
        "nnUNet_def_n_proc": "2",
        "OMP_NUM_THREADS": str(threads),
        "nnUNet_compile": "f",
    }


def _beside_gpu(threads: int) -> dict[str, str]:
    """Return nnU-Net's own numbers of processes, limited to the job's CPUs: it counts those of the whole machine."""
    return {"nnUNet_n_proc_DA": str(min(threads, 12)), "nnUNet_def_n_proc": str(min(threads, 8))}


DEFAULTS: dict[str, dict[str, int]] = {
    "phantoms": {"mem_mb": 2_000, "minutes": 30, "cpus": 1},
    "convert": {"mem_mb": 4_000, "minutes": 120, "cpus": 2},
    "plan": {"mem_mb": 16_000, "minutes": 240, "cpus": 4},
    "train": {"mem_mb": 32_000, "minutes": 2_880, "cpus": 8},
    "predict": {"mem_mb": 16_000, "minutes": 120, "cpus": 4},
    "baseline": {"mem_mb": 16_000, "minutes": 240, "cpus": 4},
    "compare": {"mem_mb": 8_000, "minutes": 120, "cpus": 2},
}
"""Memory in MB, time limit in minutes and CPUs by stage, for volumes of the study's size."""


def resources_of(study: Study, stage: str, device: str, *, after: str | None = None) -> dict[str, Any]:
    """Return the resources of a job: on one machine its devices, on a cluster the request to its scheduler.

    Args:
        study: The study; its section `cluster` takes precedence over the defaults.
        stage: One of the stages of :data:`~nnunet_femur.study.jobs.STAGES`.
        device: Device of jobs that use a GPU if there is one.
        after: Numbers of SLURM jobs, separated by colons, that have to end first.
    """
    cluster = study.cluster
    requested = {**DEFAULTS[stage], **cluster.get("resources", {}).get(stage, {})}
    found: dict[str, Any] = {
        "mem_mb": requested["mem_mb"],
        "runtime": requested["minutes"],
        "cpus_per_task": requested["cpus"],
    }
    on_gpu = stage in ON_GPU and device != "cpu"
    if on_gpu:
        found["device"] = 1
        found["gres"] = cluster.get("gres", "gpu:1")
    partition = cluster.get("gpu-partition") if on_gpu else None
    of_cluster = {
        "slurm_partition": partition or cluster.get("partition"),
        "slurm_account": cluster.get("account"),
        "qos": cluster.get("qos"),
        "constraint": cluster.get("constraint"),
        "slurm_extra": " ".join(filter(None, (cluster.get("extra"), after and f"--dependency=afterany:{after}"))),
    }
    return found | {name: value for name, value in of_cluster.items() if value}
