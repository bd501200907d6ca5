"""A standalone Spark cluster on this machine: a master and workers, each its own process, from pip's PySpark.

The workers start with an empty environment. So a job must bring everything that it needs there
(streaming/spark/shipping.py), as on machines that have only Spark and Python.
"""

import http.client
import json
import os

from stack.host.executable import first_suitable
from stack.host.java import Java, spark_home
from stack.host.ports import HOST
from stack.ivy import pyspark_folder
from stack.security.secured import Secured
from stack.service import Place, Service

TIMEOUT_SECONDS = 2.0
WORKER_CORES = 1
WORKER = "spark_worker_"
_PAGES = "spark-pages"


def cluster(workers: int) -> tuple[Service, ...]:
    """Return the services of a cluster with this many workers; none for 0. A worker's port is its pages' port."""
    return (MASTER, *(worker(number) for number in range(1, workers + 1))) if workers else ()


def worker(number: int) -> Service:
    """Return the service of one worker of the cluster."""
    name = f"{WORKER}{number}"

    def prepare(place: Place) -> list[str]:
        limits = ("--cores", str(WORKER_CORES), "--memory", place.memory, "--work-dir", str(place.data / "work"))
        where = ("--host", HOST, "--webui-port", str(place.ports[name]))
        return _daemon(place, "worker.Worker", *where, *limits, f"spark://{HOST}:{place.ports[MASTER.name]}")

    return Service(name, f"Spark worker {number}", (), prepare, _ask_worker, lambda _port, _keys: {})


def _ask_worker(port: int, _keys: Secured | None) -> str | None:
    """Ask the worker's pages. They name a master once the worker has registered with it."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/json/")
        registered = json.loads(connection.getresponse().read())["masterurl"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return None if registered else "it has not found the master"


def _prepare_master(place: Place) -> list[str]:
    port, pages = place.ports[MASTER.name], place.ports[_PAGES]
    return _daemon(place, "master.Master", "--host", HOST, "--port", str(port), "--webui-port", str(pages))


def _daemon(place: Place, main: str, *arguments: str) -> list[str]:
    place.data.mkdir(parents=True, exist_ok=True)
    home = pyspark_folder()
    own = first_suitable(place.data / "java", place.parts.parent / "java")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "JAVA_HOME": str(spark_home(Java(place.java.parent.parent, "", ""), own)),
        "SPARK_HOME": str(home),
        "SPARK_SCALA_VERSION": "2.13",  # Spark's own start script would look up the version
        "SPARK_LOCAL_IP": HOST,
    }
    java = (str(place.java), "-Xmx256m", "-XX:+ExitOnOutOfMemoryError", "-cp", f"{home / 'jars'}/*")
    return [
        *("env", "-i", *(f"{name}={value}" for name, value in environment.items())),
        *(*java, f"org.apache.spark.deploy.{main}", *arguments),
    ]


# While the cluster runs, jobs run there: `master` is its name in the section `spark` of the settings.
MASTER = Service(
    "spark",
    "Spark master",
    (_PAGES,),
    _prepare_master,
    lambda _port, _keys: None,  # its port opens when it is ready
    lambda port, _keys: {"master": f"spark://{HOST}:{port}"},
)
