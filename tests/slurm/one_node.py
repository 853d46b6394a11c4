"""A SLURM of one node on this machine's loopback, for the duration of a command or a test.

    sudo python tests/slurm/one_node.py [--install] nnfemur study demo.yaml --profile slurm

The real munged, slurmctld and slurmd of Debian's packages slurm-wlm and munge (``--install`` fetches them) run as root.
They need neither systemd nor cgroups nor a database of accounting, so a plain container is enough. An existing
configuration in /etc/slurm is restored at the end.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CONFIGURATION = Path("/etc/slurm/slurm.conf")
"""SLURM's default place: Snakemake's plugin removes the variables SLURM_*, also SLURM_CONF."""

DAEMONS = ("munged", "slurmctld", "slurmd")
_OURS = "# Written by tests/slurm/one_node.py\n"
_SETTINGS = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={control_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Ended jobs stay in the list for the duration of the tests.
MinJobAge=86400
KillWait=5
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=short Nodes=ALL Default=YES MaxTime=60 State=UP
"""


def missing() -> str:
    """Return the reason why a SLURM cannot be set up here; empty if it can."""
    absent = [name for name in (*DAEMONS, "sbatch") if _path(name) is None]
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a SLURM of one node needs root on Linux"
    if absent:
        return f"{', '.join(absent)} not installed; tests/slurm/one_node.py --install does it on Debian"
    if any(_runs(name) for name in ("slurmctld", "slurmd")):
        return "a SLURM is running on this machine already"
    return ""


def install() -> None:
    """Install SLURM's packages by Debian's apt-get."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    packages = ["install", "-y", "-qq", "--no-install-recommends", "slurm-wlm", "munge"]
    subprocess.run(["apt-get", *packages], check=True, env=environment)


@contextmanager
def one_node(*, cpus: int = 2, memory_mb: int = 8_000, gpus: int = 1) -> Iterator[None]:
    """Run a SLURM on this machine; at the end, also after a failure, its jobs are cancelled and its daemons stopped.

    Args:
        cpus: CPUs of the node.
        memory_mb: Memory of the node in MB.
        gpus: Placeholders for GPUs, at most two; nothing computes on them.

    Raises:
        RuntimeError: A daemon is missing, or the node does not start.
    """
    if reason := missing():
        raise RuntimeError(reason)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True)))
        folder.chmod(0o711)
        settings = {"folder": folder, "host": socket.gethostname(), "cpus": cpus, "memory_mb": memory_mb, "gpus": gpus}
        ports = {"control_port": _free_port(), "node_port": _free_port()}
        stack.enter_context(_configured(CONFIGURATION, _SETTINGS.format(**settings, **ports)))
        stands_in = "".join(f"Name=gpu File={device}\n" for device in ("/dev/zero", "/dev/full")[:gpus])
        stack.enter_context(_configured(CONFIGURATION.with_name("gres.conf"), stands_in))
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munge.pid"}
        more = {"log-file": folder / "munge.log", "seed-file": folder / "munge.seed"}
        options = [f"--{name}={path}" for name, path in {**files, **more}.items()]
        stack.enter_context(_daemon("munged", "--foreground", "--force", *options, log=folder / "munged.log"))
        _until(files["socket"].exists, folder)
        stack.enter_context(_daemon("slurmctld", "-D", log=folder / "slurmctld.log"))
        stack.enter_context(_daemon("slurmd", "-D", log=folder / "slurmd.log"))
        _until(lambda: _said("sinfo", "-h", "-o", "%T") == "idle", folder)
        stack.callback(_end_jobs)
        yield


@contextmanager
def _configured(file: Path, text: str) -> Iterator[None]:
    """Write a configuration, and restore the existing one afterwards."""
    before = file.with_name(f"{file.name}.before-test")
    killed = file.exists() and file.read_text(encoding="utf-8").startswith(_OURS)
    if file.exists() and not killed:
        file.rename(before)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_OURS + text, encoding="utf-8")
    try:
        yield
    finally:
        file.unlink()
        if before.exists():
            before.rename(file)


@contextmanager
def _daemon(name: str, *options: str, log: Path) -> Iterator[None]:
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen([_path(name) or name, *options], stdout=file, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _end_jobs() -> None:
    subprocess.run(["scancel", "--user=root"], check=False)
    end = time.monotonic() + 30
    while _said("squeue", "-h") and time.monotonic() < end:
        time.sleep(0.5)


def _until(ready: Callable[[], bool], folder: Path) -> None:
    end = time.monotonic() + 30
    while not ready():
        if time.monotonic() > end:
            logs = "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-2000:]}" for log in folder.glob("*.log"))
            msg = f"SLURM does not start.\n{logs}"
            raise RuntimeError(msg)
        time.sleep(0.2)


def _said(*command: str) -> str:
    return subprocess.run(command, check=False, text=True, capture_output=True).stdout.strip()


def _runs(name: str) -> bool:
    return any(_name_of(process) == name for process in Path("/proc").glob("[0-9]*"))


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _path(name: str) -> str | None:
    """Return the path of a daemon, also in the folders of root's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command while a SLURM runs, and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="first install Debian's packages by apt-get")
    parser.add_argument("--cpus", type=int, default=os.cpu_count())
    parser.add_argument("--memory-mb", type=int, default=8_000)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    if given.install:
        install()
    if reason := missing():
        parser.error(reason)
    # As an exception, so that everything is stopped.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with one_node(cpus=given.cpus, memory_mb=given.memory_mb):
        return subprocess.run(given.command or ["sinfo"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
