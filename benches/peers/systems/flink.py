"""Flink SQL: the same script as turnstile's, through Flink's SQL gateway.

Warm: from handing over the script to the JobManager's note that its job has finished, on
a cluster that has run the query before. Cold: from the launch of the cluster. CPU and
memory are the sums over its three JVMs; memory is the most they ever had.
"""

import time

from systems import filled
from systems.flink_cluster import Cluster
from measure import Cost


def script(task, out):
    return filled(task.query.flink, {"TOPIC": task.topic, "BROKERS": task.brokers, "OUT": out})


class Flink:
    """On a cluster that runs already."""

    writes_rows = True
    warms_up = True

    def __init__(self, cluster):
        self.cluster = cluster

    def run(self, task, out):
        start, cpu_s = time.time(), self.cluster.cpu_s()
        finished = self.cluster.run(script(task, out))
        return Cost(finished - start, self.cluster.cpu_s() - cpu_s, self.cluster.peak_mb())


class FlinkCold:
    """On a cluster that is started for this run, and is no more after it."""

    writes_rows = True
    warms_up = False

    def __init__(self, folder, threads):
        self.folder = folder
        self.threads = threads

    def run(self, task, out):
        start = time.time()
        with Cluster(self.folder, self.threads) as cluster:
            finished = cluster.run(script(task, out))
            return Cost(finished - start, cluster.cpu_s(), cluster.peak_mb())
