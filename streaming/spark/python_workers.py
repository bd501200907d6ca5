"""Make the work of Spark's Python workers between two of our functions cheap.

With small batches this work is most of the workers' time.

Before each task a worker invalidates the import system's caches. Python 3.11 then reads the directories of all zip
files on its path again, in Python. On a cluster that includes Spark's core jar with 5,000 entries. After each task the
worker collects garbage, and visits every loaded module (docs/performance.md has the figures).
"""

import gc
import sys
from zipimport import zipimporter

_frozen = False


def settle() -> None:
    """Leave a worker nothing to read or to visit before its next function. Call this at the end of a function.

    An import from a zip file opens the file again, from Python's kept directory.
    """
    global _frozen
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            del sys.path_importer_cache[path]
    if not _frozen:
        gc.collect()
        gc.freeze()
        _frozen = True
