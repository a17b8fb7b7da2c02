"""Lets systems answer one query in turn, round after round, and compares what they wrote."""

import shutil
import sys

from rows import Comparison


def tell(text):
    print(text, file=sys.stderr, flush=True)


def race(task, systems, rounds, scratch):
    """What each round cost each system, and how many rows came out.

    Fails at the first result that differs from another one's.
    """
    outs = scratch / "out"
    comparison = Comparison(task.query.columns())
    costs = {name: [] for name in systems}

    def turn(name, out):
        system = systems[name]
        cost = system.run(task, out)
        if not (system.writes_rows and comparison.take(name, out)):
            shutil.rmtree(out, ignore_errors=True)
        return cost

    for name in [name for name, system in systems.items() if system.warms_up]:
        tell(f"  {name} warms up")
        turn(name, outs / f"{name}-warm")
    for number in range(1, rounds + 1):
        for name in systems:
            tell(f"  round {number} of {rounds}: {name}")
            costs[name].append(turn(name, outs / f"{name}-{number}"))
    shutil.rmtree(outs, ignore_errors=True)
    return costs, comparison.count
