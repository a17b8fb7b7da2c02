"""The program itself: how big it is, and how long it takes to say something."""

import statistics

from commands import answer
from places import TURNSTILE
from queries import TUMBLE

LAUNCHES = 20
COMMANDS = {"--help": ["--help"], "check": ["check", TUMBLE.flink]}


def look_at(turnstile, scratch):
    launches = {
        name: statistics.median(
            turnstile.command(arguments, "bids", "127.0.0.1:9092", scratch / "none").wall_s
            for _ in range(LAUNCHES)
        )
        for name, arguments in COMMANDS.items()
    }
    return {"stripped_mb": stripped_mb(scratch), "launch_s": launches}


def stripped_mb(scratch):
    stripped = scratch / "stripped"
    answer("strip", "-o", stripped, TURNSTILE)
    return stripped.stat().st_size / 1e6
