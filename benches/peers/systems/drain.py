"""The limit: a reader that fetches every message and drops it (examples/drain)."""

import measure
from commands import Failed
from kafka import messages
from places import DRAIN


class Drain:
    writes_rows = False
    warms_up = False

    def __init__(self, scratch, client):
        self.log = scratch / f"drain-{client}.log"
        self.client = client

    def run(self, task, _out):
        cost = measure.command([DRAIN, task.brokers, task.topic, self.client], self.log)
        found = messages(self.log.read_text())
        if found != task.events:
            raise Failed(f"drain read {found} messages of {task.topic}, not {task.events}")
        return cost
