"""What a job asks of a machine or a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnunet_femur.study.jobs import ON_GPU

if TYPE_CHECKING:
    from nnunet_femur.study.config import Study

DEFAULTS: dict[str, dict[str, int]] = {
    "phantoms": {"mem_mb": 2_000, "minutes": 30, "cpus": 1},
    "convert": {"mem_mb": 4_000, "minutes": 120, "cpus": 2},
    "plan": {"mem_mb": 16_000, "minutes": 240, "cpus": 4},
    "train": {"mem_mb": 32_000, "minutes": 2_880, "cpus": 8},
    "predict": {"mem_mb": 16_000, "minutes": 120, "cpus": 4},
    "baseline": {"mem_mb": 16_000, "minutes": 240, "cpus": 4},
    "compare": {"mem_mb": 8_000, "minutes": 120, "cpus": 2},
}
"""Memory, time and CPUs by stage, for volumes of the study's size; a study's file may change them."""


def resources_of(study: Study, stage: str, device: str, *, after: str | None = None) -> dict[str, Any]:
    """What the engine deals out: on one machine devices, on a cluster what its scheduler wants to know.

    Args:
        study: The study, whose section `cluster` comes before the defaults.
        stage: One of the stages of :data:`~nnunet_femur.study.jobs.STAGES`.
        device: The device of jobs that use a GPU where there is one.
        after: Numbers of SLURM's jobs, separated by colons, that have to end first.
    """
    cluster = study.cluster
    asked = {**DEFAULTS[stage], **cluster.get("resources", {}).get(stage, {})}
    found: dict[str, Any] = {"mem_mb": asked["mem_mb"], "runtime": asked["minutes"], "cpus_per_task": asked["cpus"]}
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
