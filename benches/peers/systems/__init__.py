"""The systems that are compared: a file each.

A system has `run(task, out)`, which lets it answer the task's query into the folder
`out` and gives the cost; `writes_rows`, false if there is nothing to compare; and
`warms_up`, true if its first run of a query is not to be counted.
"""

from dataclasses import dataclass
from pathlib import Path

from queries import Query

# In the order in which they take their turns.
NAMES = ["drain", "drain-native", "turnstile", "flink", "duckdb"]


@dataclass(frozen=True)
class Task:
    """A query over a topic; the same messages are in the file `lines`, if anyone reads it."""

    query: Query
    topic: str
    brokers: str
    events: int
    lines: Path | None


def filled(file, values):
    """An SQL file's text, its ${NAME}s replaced."""
    text = file.read_text()
    for name, value in values.items():
        text = text.replace("${" + name + "}", str(value))
    return text
