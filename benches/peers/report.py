"""Figures from costs, and how they are shown: as JSON's plain data and as Markdown tables.

A figure is the median of the rounds, each figure by itself. A system's ratio is
turnstile's figure divided by the system's: above 1, turnstile does more.
"""

import statistics

RATIOS = {"events/s": "events_per_s", "events per CPU-s": "events_per_cpu_s"}
PEERS = ["flink", "duckdb", "drain", "drain-native"]
LABELS = {
    "turnstile": "turnstile",
    "flink": "Flink SQL",
    "flink-cold": "Flink SQL, cluster and all",
    "duckdb": "DuckDB, local file",
    "drain": "drain, librdkafka",
    "drain-native": "drain, own client",
    "1h": "each hour: never",
    "1s": "each second",
}


def figures(costs, events):
    """Of one system, from its rounds."""
    middle = {name: statistics.median(getattr(cost, name) for cost in costs)
              for name in ("wall_s", "cpu_s", "peak_mb")}
    return {
        **middle,
        "events_per_s": events / middle["wall_s"],
        "events_per_cpu_s": events / middle["cpu_s"],
        "cpu_s_per_million": middle["cpu_s"] / events * 1e6,
        "rounds": [vars(cost) for cost in costs],
    }


def raced(name, title, codec, events, costs, rows):
    systems = {system: figures(each, events) for system, each in costs.items()}
    return {
        "name": name, "title": title, "codec": codec, "events": events, "rows": rows,
        "systems": systems, "ratios": ratios(systems),
    }


def ratios(systems):
    ours = systems.get("turnstile")
    return {
        peer: {key: ours[key] / systems[peer][key] for key in RATIOS.values()}
        for peer in PEERS if ours and peer in systems
    }


def markdown(results):
    parts = [about(results), throughput(results["queries"]), against(results["queries"])]
    parts += [saving(results.get("saving")), launch(results.get("launch")), program(results.get("program"))]
    return "\n\n".join(part for part in parts if part)


def about(results):
    machine, versions = results["machine"], results["versions"]
    said = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return (
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"load before {machine['load_before']}; {said}; median of {results['rounds']}."
    )


def throughput(queries):
    rows = [
        [title(query) if first else "", LABELS[name], millions(of["events_per_s"]),
         f"{of['cpu_s_per_million']:.3f}", millions(of["events_per_cpu_s"]), f"{of['peak_mb']:,.0f}"]
        for query in queries
        for first, (name, of) in zip([True] + [False] * len(query["systems"]), query["systems"].items())
    ]
    head = ["query", "system", "M events/s", "CPU-s per M events", "M events per CPU-s", "peak MB"]
    return table(head, rows)


def title(query):
    counted = f"{query['events']:,} events"
    rows = f", {query['rows']:,} rows out" if query["rows"] else ""
    return f"{query['title']}{codec_of(query)}: {counted}{rows}"


def codec_of(query):
    return "" if query["codec"] == "none" else f", {query['codec']}"


def against(queries):
    """turnstile's figures as multiples of each peer's."""
    peers = [peer for peer in PEERS if any(peer in query["ratios"] for query in queries)]
    rows = [
        [f"{query['name']}, {key}" + codec_of(query), *(f"{query['ratios'][peer][of]:.2f}" for peer in peers)]
        for query in queries for key, of in RATIOS.items()
    ]
    return table(["turnstile to", *(LABELS[peer] for peer in peers)], rows) if peers else None


def saving(race):
    if race:
        rows = [[LABELS[name], millions(of["events_per_s"]), millions(of["events_per_cpu_s"])]
                for name, of in race["systems"].items()]
        return table([f"progress saved ({race['title']})", "M events/s", "M events per CPU-s"], rows)


def launch(race):
    if race:
        rows = [[LABELS[name], f"{of['wall_s']:.2f}", f"{of['cpu_s']:.2f}", f"{of['peak_mb']:,.0f}"]
                for name, of in race["systems"].items()]
        return table([f"{race['events']:,} messages, launch to result", "seconds", "CPU-s", "peak MB"], rows)


def program(found):
    if found:
        rows = [[f"`turnstile {name}`", f"{seconds * 1000:.0f} ms"]
                for name, seconds in found["launch_s"].items()]
        return table(["program", ""], [*rows, ["size, stripped", f"{found['stripped_mb']:.1f} MB"]])


def millions(number):
    return f"{number / 1e6:.2f}"


def table(head, rows):
    if not rows:
        return None
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
