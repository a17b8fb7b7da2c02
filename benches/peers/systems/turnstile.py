"""turnstile at its defaults: `turnstile run`, from launch to exit, anew each time."""

import os
import shutil

import measure
from places import TURNSTILE


class Turnstile:
    writes_rows = True
    warms_up = False

    def __init__(self, scratch, **settings):
        """Settings by their environment variables; none: the defaults."""
        self.scratch = scratch
        self.settings = settings

    def run(self, task, out):
        return self.command(["run", task.query.flink], task.topic, task.brokers, out)

    def command(self, arguments, topic, brokers, out):
        state = self.scratch / "state"
        shutil.rmtree(state, ignore_errors=True)
        env = {name: value for name, value in os.environ.items() if not name.startswith("TURNSTILE_")}
        env |= {"TOPIC": topic, "BROKERS": brokers, "OUT": str(out)}
        env |= {"TURNSTILE_STATE_PATH": str(state), **self.settings}
        return measure.command([TURNSTILE, *arguments], self.scratch / "turnstile.log", env)
