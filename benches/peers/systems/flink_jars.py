"""Flink's jars, kept in the user's cache in the folder that tests/flink/run keeps its in.

`lib` is Flink as PyPI's apache-flink-libraries has it, with the Kafka connector;
`parquet` and `gateway` come from Maven Central.
"""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from commands import answer, need
from places import CACHE

VERSION = "2.3.0"
ROOT = Path(os.environ.get("FLINK_ROOT") or CACHE / f"flink-{VERSION}")
CONNECTOR = "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2"
FOLDERS = {
    "parquet": [
        f"org.apache.flink:flink-sql-parquet:{VERSION}",
        "org.apache.hadoop:hadoop-client-api:3.4.3",
        "org.apache.hadoop:hadoop-client-runtime:3.4.3",
    ],
    "gateway": [
        f"org.apache.flink:flink-sql-gateway:{VERSION}",
        f"org.apache.flink:flink-sql-gateway-api:{VERSION}",
    ],
}


def fetch(python):
    ROOT.mkdir(parents=True, exist_ok=True)
    fetch_lib(python)
    for name, artifacts in FOLDERS.items():
        if not (ROOT / name).exists():
            with tempfile.TemporaryDirectory(dir=ROOT) as part:
                copy(artifacts, Path(part) / name)
                (Path(part) / name).rename(ROOT / name)


def fetch_lib(python):
    complete = ROOT / "complete"
    if complete.exists():
        return
    with tempfile.TemporaryDirectory(dir=ROOT) as part:
        wheel = f"apache-flink-libraries=={VERSION}"
        answer(python, "-m", "pip", "download", "--quiet", "--no-deps", wheel, "--dest", part)
        [wheel] = Path(part).glob("*.whl")
        unpack(wheel, "pyflink/lib/", ROOT / "lib")
    copy([CONNECTOR], ROOT / "lib")
    complete.touch()


def unpack(wheel, prefix, folder):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(prefix) and not name.endswith("/"):
                with archive.open(name) as jar, open(folder / Path(name).name, "wb") as copied:
                    shutil.copyfileobj(jar, copied)


def copy(artifacts, folder):
    need("mvn", "to fetch Flink's jars, once")
    for artifact in artifacts:
        answer(
            "mvn", "--quiet", "--batch-mode", "-Dstyle.color=never", "dependency:copy",
            "-Dmdep.useBaseVersion=true", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}",
        )
