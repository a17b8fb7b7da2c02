"""What the figures were taken on, and with which versions."""

import datetime
import os
import platform
import re
from pathlib import Path

import rows
from commands import Failed, answer
from places import REPOSITORY, TURNSTILE
from systems import flink_jars


def describe():
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": found(r"model name\s*: (.*)", "/proc/cpuinfo"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(found(r"MemTotal:\s*(\d+)", "/proc/meminfo") or 0) / 1e6),
        "kernel": platform.release(),
        # Of others' work, if the benchmark is what it should be: alone.
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions():
    return {
        "turnstile": answer(TURNSTILE, "--version").split()[-1],
        "commit": commit(),
        "flink": flink_jars.VERSION,
        "duckdb": rows.ask("SELECT version()")[0][0],
    }


def found(pattern, file):
    match = re.search(pattern, Path(file).read_text())
    return match[1] if match else None


def commit():
    try:
        return answer("git", "describe", "--always", "--dirty", cwd=REPOSITORY).strip()
    except (OSError, Failed):
        return None
