"""What a run costs: time, CPU-seconds (user and system) and peak memory.

Of a command by what the kernel accounts to it and its children when it ends, of
processes that stay by /proc before and after.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from commands import Failed

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_mb: float


def command(parts, log, env=None, stdin=None, cwd=None):
    """Runs a command to its end; what it says goes to the file `log`."""
    parts = [str(part) for part in parts]
    with open(log, "w") as said, open(stdin or os.devnull) as fed:
        start = time.monotonic()
        process = subprocess.Popen(parts, env=env, stdin=fed, stdout=said, stderr=said, cwd=cwd)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        wall_s = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"{' '.join(parts)} ended with {process.returncode}:\n{end_of(log)}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def end_of(log, lines=30):
    return "\n".join(Path(log).read_text(errors="replace").splitlines()[-lines:])


def cpu_s(pid):
    """Of a running process and of those of its children that have ended."""
    # The second field, the name, may hold spaces and brackets.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def peak_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise Failed(f"/proc/{pid}/status does not say VmHWM")
