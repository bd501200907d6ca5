"""Make `streaming/spark/jvm/adstream-state-store.jar` from the Java beside it.

The command is `python -m streaming.spark.state_store_jar`. Spark's own Janino compiles, so that no JDK is needed. The
same source gives the same bytes.
"""

import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from common.settings import Settings
from stack.host.environment import java_environment
from stack.host.java import find_java
from stack.ivy import pyspark_folder
from streaming.spark.state_store import JAR

SOURCES = sorted(JAR.parent.glob("*.java"))
_COMPILER = "org.codehaus.commons.compiler.samples.CompilerDemo"
_MANIFEST = "META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n\r\n"
# The earliest time that a zip can hold.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_SECONDS = 120


def make(into: Path) -> None:
    """Compile the sources, and write the jar. Raises CalledProcessError with the compiler's output."""
    with zipfile.ZipFile(into, "w") as jar:
        for name, content in [_MANIFEST, *_classes()]:
            jar.writestr(zipfile.ZipInfo(name, _LONG_AGO), content)


def _classes() -> Iterator[tuple[str, bytes]]:
    java = find_java(Settings().stack.java_home)
    sparks = str(pyspark_folder() / "jars" / "*")
    with tempfile.TemporaryDirectory(prefix="adstream-classes-") as folder:
        class_path = ":".join(str(jar) for jar in sorted((pyspark_folder() / "jars").glob("*.jar")))
        subprocess.run(
            [
                *(str(java.executable), "-cp", sparks, _COMPILER, "-g:none", "-encoding", "UTF-8"),
                *("-classpath", class_path, "-d", folder, *map(str, SOURCES)),
            ],
            env=java_environment({}),
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=True,
        )
        for file in sorted(Path(folder).rglob("*.class")):
            yield file.relative_to(folder).as_posix(), file.read_bytes()


if __name__ == "__main__":
    make(JAR)
