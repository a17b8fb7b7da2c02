"""Runs other programs for what they do, not for what they cost."""

import os
import shutil
import subprocess


class Failed(Exception):
    """What a person has to know, and where it can be helped, to do."""


def need(program, what_for):
    if not shutil.which(program):
        raise Failed(f"{program} is needed {what_for}, and is not in PATH")


def answer(*command, env=None, text=None, cwd=None):
    """What a command prints. Fails with all that it says if it fails."""
    done = subprocess.run(
        [str(part) for part in command], env={**os.environ, **(env or {})}, cwd=cwd,
        input=text, text=True, capture_output=True, check=False,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise Failed(f"{' '.join(str(part) for part in command)} ended with {done.returncode}:\n{said}")
    return done.stdout
