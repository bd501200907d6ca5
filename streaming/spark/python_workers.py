"""What Spark's Python workers do between our functions, made cheap. It is most of their time where batches are small.

Before each task a worker has the import system forget what it knows. Python 3.11 answers by reading the directories of
all zip files on its path again, in Python: on a cluster Spark puts its core jar there, with 5,000 entries. After each
task the worker collects garbage, and goes through every module that is loaded (docs/performance.md has the figures).
"""

import gc
import sys
from zipimport import zipimporter

_frozen = False


def settle() -> None:
    """Called at the end of a function that runs in a worker, it leaves nothing to read or to go through to the next.

    An import that needs a zip file opens it again, from what Python has kept of it.
    """
    global _frozen
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            del sys.path_importer_cache[path]
    if not _frozen:
        gc.collect()
        gc.freeze()
        _frozen = True
