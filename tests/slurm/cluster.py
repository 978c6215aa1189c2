"""A SLURM of one node on this machine, from Debian's packages, with a GPU that is none."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from workflow.project import wait

DAEMONS = ("munged", "slurmctld", "slurmd")
ETC = Path("/etc/slurm")
NODE = socket.gethostname().split(".")[0]
CPUS = 4

# Memory and CPUs are what we say (config_overrides), so that the profile's requests fit a small machine.
CONF = """\
ClusterName=reliance
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort=36817
SlurmdPort=36818
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
KillWait=5
SlurmdTimeout=60
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""


class UnavailableError(Exception):
    """Why there can be no cluster on this machine."""


def check() -> None:
    """Raise UnavailableError where daemons cannot be started, or where the machine belongs to a cluster."""
    if os.getuid() != 0:
        raise UnavailableError("only root may start SLURM's daemons")
    missing = [name for name in (*DAEMONS, "sbatch", "srun", "scontrol") if shutil.which(name) is None]
    if missing:
        raise UnavailableError(f"{', '.join(missing)} not found: apt-get install slurm-wlm munge")
    for name in ("slurm.conf", "gres.conf"):
        if (ETC / name).exists():
            raise UnavailableError(f"{ETC / name} exists: this machine belongs to a cluster")


class Cluster:
    """The daemons and what a user asks them."""

    def __init__(self) -> None:
        check()
        self.folder = Path(tempfile.mkdtemp(prefix="reliance-slurm-"))
        self.folder.chmod(0o755)  # munged refuses a socket that not everybody can reach
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        for name in ("state", "spool", "log"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        conf, gres = self.folder / "slurm.conf", self.folder / "gres.conf"
        conf.write_text(CONF.format(folder=self.folder, node=NODE, cpus=CPUS))
        gres.write_text(f"NodeName={NODE} Name=gpu File=/dev/null\n")
        ETC.mkdir(exist_ok=True)
        for path in (conf, gres):  # the plugin unsets SLURM_CONF, so the files must be where SLURM looks
            link = ETC / path.name
            link.unlink(missing_ok=True)  # one that leads nowhere, of a test that was killed
            link.symlink_to(path)
        at = {
            "socket": "munge.socket",
            "key-file": "munge.key",
            "pid-file": "munged.pid",
            "log-file": "log/munged.log",
            "seed-file": "munge.seed",
        }
        self._run("munged", "-F", *(f"--{option}={self.folder / file}" for option, file in at.items()))
        wait((self.folder / "munge.socket").exists, "munged to listen", 20)
        self._run("slurmctld", "-D", "-f", str(conf))
        self._run("slurmd", "-D", "-f", str(conf), "-N", NODE)
        wait(lambda: self.node() == "idle", "the node to be idle", 30)

    def stop(self) -> None:
        """Cancel all jobs, end the daemons, take the links away."""
        try:
            if len(self._daemons) == len(DAEMONS):
                subprocess.run(["scancel", "--quiet", "--user=root"], check=False, timeout=30)
                wait(lambda: not ask("squeue", "--noheader"), "the jobs to end", 30)
        finally:
            for daemon in reversed(self._daemons):
                daemon.terminate()
                try:
                    daemon.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
            for name in ("slurm.conf", "gres.conf"):
                link = ETC / name
                if link.is_symlink() and link.readlink().parent == self.folder:
                    link.unlink()
            shutil.rmtree(self.folder, ignore_errors=True)

    def node(self) -> str:
        """State of the node: idle, mixed, allocated, draining, drained, ..."""
        return ask("sinfo", "--noheader", "--format=%T", check=False)

    def jobs(self, comment: str = ".*") -> list[dict[str, str]]:
        """All jobs that ever were and whose comment matches, in the order of submission."""
        fields = {
            "id": "JobArrayID",
            "state": "State",
            "node": "NodeList",
            "limit": "TimeLimit",
            "memory": "MinMemory",
            "gpus": "tres-per-job",
            "comment": "Comment",
        }
        columns = ",".join(f"{field}:|" for field in fields.values())
        rows = ask("squeue", "--noheader", "--states=all", f"--Format={columns}")
        jobs = [dict(zip(fields, row.split("|"), strict=False)) for row in rows.splitlines()]
        chosen = [job for job in jobs if re.fullmatch(comment, job["comment"])]
        return sorted(chosen, key=lambda job: int(job["id"]))

    def _run(self, *command: str) -> None:
        log = self.folder / "log" / f"{command[0]}.out"
        with open(log, "wb") as stream:
            self._daemons.append(subprocess.Popen(command, stdout=stream, stderr=stream))


def ask(*command: str, check: bool = True) -> str:
    """What a command of SLURM prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


if __name__ == "__main__":
    try:
        check()
    except UnavailableError as error:
        print(error)
        sys.exit(3)  # what tests/slurm/run takes for a reason to skip
