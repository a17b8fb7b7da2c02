"""A Flink of its own on loopback: a JobManager, a TaskManager, a SQL gateway.

Three JVMs on free ports, which end with the `with` block. Memory is what makes Flink
comfortable; all else is Flink's default, but for a checkpoint every 10 s, which is
turnstile's, and no restarts, so that a failure shows.
"""

import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import measure
from commands import Failed
from places import REPOSITORY
from systems.flink_jars import ROOT

START_SECONDS = 120
ANSWER_SECONDS = 60
POLL_SECONDS = 0.05
# A job's end is read from the JobManager's own clock; asking more often costs it CPU.
JOB_POLL_SECONDS = 0.5
# Flink waits for ever for a broker that has gone.
JOB_SECONDS = 3600
ENDS = ("FINISHED", "FAILED", "CANCELED")

# Flink looks into the JDK's own classes.
OPENS = ["--add-exports=java.base/sun.net.util=ALL-UNNAMED"] + [
    f"--add-opens=java.base/java.{package}=ALL-UNNAMED"
    for package in (
        "lang", "net", "io", "nio", "lang.reflect", "text", "time", "util", "util.concurrent",
        "util.concurrent.atomic", "util.concurrent.locks",
    )
]

# What Flink's own start scripts would work out from one number: 4 GiB of heap, 1 GiB for
# its operators.
TASK_MANAGER_JVM = ["-Xms4g", "-Xmx4g", "-XX:MaxDirectMemorySize=640m", "-XX:MaxMetaspaceSize=512m"]
TASK_MANAGER_MEMORY = {
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.task.heap.size": "3968m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.off-heap.size": "128m",
    "taskmanager.memory.network.min": "384m",
    "taskmanager.memory.network.max": "384m",
    "taskmanager.memory.managed.size": "1g",
    "taskmanager.memory.jvm-metaspace.size": "512m",
    "taskmanager.memory.jvm-overhead.min": "512m",
    "taskmanager.memory.jvm-overhead.max": "512m",
}


class Cluster:
    def __init__(self, folder, threads):
        self.folder = folder
        self.threads = threads
        self.processes = {}
        rpc, rest, gateway = free_ports(3)
        self.jobs = f"http://127.0.0.1:{rest}"
        self.gateway = f"http://127.0.0.1:{gateway}"
        self._configure(rpc, rest, gateway)

    def _configure(self, rpc, rest, gateway):
        (self.folder / "conf").mkdir(parents=True, exist_ok=True)
        config = {
            "jobmanager.rpc.address": "127.0.0.1",
            "jobmanager.bind-host": "127.0.0.1",
            "jobmanager.rpc.port": rpc,
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "rest.port": rest,
            "sql-gateway.endpoint.rest.address": "127.0.0.1",
            "sql-gateway.endpoint.rest.bind-address": "127.0.0.1",
            "sql-gateway.endpoint.rest.port": gateway,
            "taskmanager.host": "127.0.0.1",
            "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": self.threads,
            "taskmanager.cpu.cores": f"{self.threads}.0",
            "parallelism.default": self.threads,
            "restart-strategy.type": "none",
            "execution.checkpointing.interval": "10s",
            "execution.checkpointing.dir": (self.folder / "checkpoints").as_uri(),
            "io.tmp.dirs": self.folder,
            **TASK_MANAGER_MEMORY,
        }
        lines = (f"{key}: {value}\n" for key, value in config.items())
        (self.folder / "conf" / "config.yaml").write_text("".join(lines))

    def __enter__(self):
        conf = str(self.folder / "conf")
        runtime = "org.apache.flink.runtime"
        try:
            self._start(
                "jobmanager", ["-Xms1g", "-Xmx1g"], ["lib", "parquet"],
                f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint",
                "--configDir", conf, "--executionMode", "cluster",
            )
            self._start(
                "taskmanager", TASK_MANAGER_JVM, ["lib", "parquet"],
                f"{runtime}.taskexecutor.TaskManagerRunner", "--configDir", conf,
            )
            self._start(
                "gateway", ["-Xmx1g"], ["gateway", "lib", "parquet"],
                "org.apache.flink.table.gateway.SqlGateway",
            )
            self._wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name, memory, jars, main, *arguments):
        log4j = REPOSITORY / "tests" / "flink" / "log4j.properties"
        # Parquet's INT96 and the wall time of TIMESTAMP are in the JVM's time zone.
        options = [*memory, *OPENS, "-Duser.timezone=UTC", f"-Dlog4j.configurationFile={log4j}"]
        path = ":".join(f"{ROOT / folder}/*" for folder in jars)
        with open(self._log(name), "w") as said:
            self.processes[name] = subprocess.Popen(
                ["java", *options, "-cp", path, main, *arguments],
                env={**os.environ, "FLINK_CONF_DIR": str(self.folder / "conf")},
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )

    def _log(self, name):
        return self.folder / f"{name}.log"

    def _wait_until_up(self):
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise Failed(f"Flink's {name} died:\n{measure.end_of(self._log(name))}")
            if time.monotonic() > deadline:
                raise Failed(f"Flink is not up after {START_SECONDS} s, see {self.folder}")
            time.sleep(POLL_SECONDS)

    def _is_up(self):
        try:
            call(f"{self.gateway}/v1/info")
            return call(f"{self.jobs}/overview")["slots-total"] == self.threads
        except (OSError, Failed):
            return False

    def cpu_s(self):
        return sum(measure.cpu_s(process.pid) for process in self.processes.values())

    def peak_mb(self):
        return sum(measure.peak_mb(process.pid) for process in self.processes.values())

    def run(self, script):
        """Runs a script with one INSERT. Gives the time at which its job had finished."""
        session = f"{self.gateway}/v1/sessions/" + call(f"{self.gateway}/v1/sessions", {})["sessionHandle"]
        for statement in re.split(r";\s*(?:\n|$)", script):
            if statement.strip():
                job = self._execute(session, statement)
        finished = self._wait_for_job(job)
        call(session, method="DELETE")
        return finished

    def _execute(self, session, statement):
        """The id of the job that a statement has started, if it has."""
        operation = call(f"{session}/statements", {"statement": statement})["operationHandle"]
        result = f"{session}/operations/{operation}/result/0"
        deadline = time.monotonic() + ANSWER_SECONDS
        while (answer := call(result))["resultType"] == "NOT_READY":
            if time.monotonic() > deadline:
                raise Failed(f"Flink has not taken this within {ANSWER_SECONDS} s: {statement}")
            time.sleep(POLL_SECONDS)
        return answer.get("jobID")

    def _wait_for_job(self, job):
        deadline = time.monotonic() + JOB_SECONDS
        while (state := (seen := call(f"{self.jobs}/jobs/{job}"))["state"]) not in ENDS:
            if time.monotonic() > deadline:
                raise Failed(f"Flink's job has not ended within {JOB_SECONDS} s, see {self.folder}")
            time.sleep(JOB_POLL_SECONDS)
        if state != "FINISHED":
            raise Failed(f"Flink's job {state.lower()}:\n{self._why(job)}")
        return seen["timestamps"]["FINISHED"] / 1000

    def _why(self, job):
        """Its exceptions without their stacks."""
        history = call(f"{self.jobs}/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        lines = "\n".join(entry["stacktrace"] for entry in history).splitlines()
        return "\n".join(line for line in lines if not line.startswith("\t"))


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def call(url, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    # A proxy of the user's is not for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ANSWER_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise Failed(f"Flink says {error.code} to {url}:\n{error.read().decode()[:3000]}") from error
