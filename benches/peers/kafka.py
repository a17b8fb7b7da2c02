"""A real Kafka of the benchmark's own (tests/kafka.sh), and its topics.

The broker goes when the run ends; what it holds stays, so that the next run need
not load it again. A topic is whole if the file TOPIC.full lies beside its data.
"""

import os
import re

from commands import Failed, answer
from places import BIDS, CACHE, DRAIN, REPOSITORY, TURNSTILE
from queries import READINGS

SCRIPT = REPOSITORY / "tests" / "kafka.sh"
ROOT = CACHE / "kafka-peers"
PARTITIONS = 4


class Kafka:
    def __init__(self):
        self.port = os.environ.get("KAFKA_PORT", "19592")
        self.brokers = f"127.0.0.1:{self.port}"

    def __enter__(self):
        try:
            self._script("up", self.port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._script("down")

    def _script(self, *arguments):
        env = {"KAFKA_ROOT": str(ROOT), "KAFKA_JARS": str(CACHE / "kafka"), "KAFKA_PORT": self.port}
        answer(SCRIPT, *arguments, env=env)

    def load(self, topic, events, codec):
        """Makes the topic unless it is there and whole. Gives its name."""
        name = topic.full_name(events, codec)
        full = ROOT / "data" / f"{name}.full"
        if not full.exists():
            self._script("rmtopic", name)
            # The broker compresses what it is sent, whoever sends it.
            settings = [] if codec == "none" else [f"compression.type={codec}"]
            self._script("topic", name, PARTITIONS, *settings)
            answer(*self._producer(topic, name, events))
            self._drain(name, events)
            full.touch()
        return name

    def _producer(self, topic, name, events):
        if topic == READINGS:
            to = ["--bootstrap-servers", self.brokers, "--topic", name, "--events", events]
            return [TURNSTILE, "produce", "turnstile", *to]
        return [BIDS, self.brokers, name, events, *([topic.auctions] if topic.auctions else [])]

    def _drain(self, name, events, *file):
        found = messages(answer(DRAIN, self.brokers, name, "native", *file))
        if found != events:
            raise Failed(f"topic {name} holds {found} messages, not {events}")

    def lines(self, topic, events, codec):
        """A file with the topic's messages, a line each; written once."""
        file = CACHE / "peers" / f"{topic.full_name(events, codec)}.lines"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            self._drain(topic.full_name(events, codec), events, part)
            part.rename(file)
        return file


def messages(said):
    """How many messages examples/drain says it has read."""
    found = re.search(r"^(\d+) messages", said, re.MULTILINE)
    if not found:
        raise Failed(f"examples/drain did not say how many messages it read:\n{said}")
    return int(found[1])
