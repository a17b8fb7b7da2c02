"""The queries, and the topics they read."""

import re
from dataclasses import dataclass

from places import HERE

SQL = HERE / "sql"


@dataclass(frozen=True)
class Topic:
    """What a topic holds; its name on the broker also says how much, and its codec."""

    name: str
    auctions: int | None = None

    def full_name(self, events, codec):
        return f"{self.name}-{events}" + ("" if codec == "none" else f"-{codec}")


BIDS = Topic("bids")
BIDS_1M = Topic("bids-1m", auctions=1_000_000)
READINGS = Topic("readings")


@dataclass(frozen=True)
class Query:
    name: str
    title: str
    topic: Topic
    file: str

    @property
    def flink(self):
        """The script that Flink and turnstile both run."""
        return SQL / self.file

    @property
    def duckdb(self):
        return SQL / "duckdb" / self.file

    def columns(self):
        """Name and type of each column of the result, from the script."""
        table = re.search(r"CREATE TABLE res \((.*)\)\nWITH", self.flink.read_text())
        pairs = [column.split(" ") for column in table[1].split(", ")]
        return [(name.strip("`"), duckdb_type(flink)) for name, flink in pairs]


def duckdb_type(flink):
    return {"BIGINT": "BIGINT", "STRING": "VARCHAR", "TIMESTAMP(3)": "TIMESTAMP"}[flink]


TUMBLE = Query("tumble", "TUMBLE 10 s by auction, 10,000 keys", BIDS, "tumble.sql")

QUERIES = {
    query.name: query
    for query in [
        Query("filter", "filter and projection", BIDS, "filter.sql"),
        TUMBLE,
        Query("tumble-1m", "TUMBLE 10 s by auction, 1,000,000 keys", BIDS_1M, "tumble.sql"),
        Query("hop", "HOP 2 s, 10 s by auction, 10,000 keys", BIDS, "hop.sql"),
        Query("5min", "turnstile readings in CSV, TUMBLE 5 min", READINGS, "5min.sql"),
    ]
}
