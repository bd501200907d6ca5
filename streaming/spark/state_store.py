"""Choose a query's state store: Spark's own, or one that keeps its batches short when it grows.

At the end of each batch Spark checks all entries of a store for expired ones. `adstream.IncrementalCleanupProvider`
(streaming/spark/jvm) shows Spark a part of them in each batch. That is right only if Spark looks for entries to remove.
Timers, sessions, joins and the modes append and complete take results from the same call. So a query gets this store
only if every step of its plan is known to be none of these.
"""

from importlib import resources
from pathlib import Path
from typing import Any

import pyspark
from pyspark.sql import DataFrame

from common.settings import SparkSettings
from stack import real_time

PROVIDER = "spark.sql.streaming.stateStore.providerClass"
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
MEMORY = "org.apache.spark.sql.execution.streaming.state.HDFSBackedStateStoreProvider"
INCREMENTAL = "adstream.IncrementalCleanupProvider"
JAR = Path(str(resources.files("streaming.spark"))) / "jvm" / "adstream-state-store.jar"
# The class depends on Spark's internals. Under another Spark it behaves like Spark's own class.
MADE_FOR = "4.1.1"

# For these steps in update mode Spark 4.1.1 asks a store for single keys, and for all entries only to remove some.
_REMOVE_ONLY = {"Aggregate", "Deduplicate", "DeduplicateWithinWatermark"}
_STATELESS = {
    *("CollectMetrics", "EventTimeWatermark", "Expand", "Filter", "Generate", "Project", "SubqueryAlias", "Union"),
    *("MapInArrow", "MapInPandas", "Repartition", "RepartitionByExpression", "ResolvedHint"),
    *("StreamingRelation", "StreamingRelationV2"),
}
_JOIN = "Join"


def suited(rows: DataFrame, mode: str, settings: SparkSettings) -> str:
    """Return the state store's class for a query of these rows. The settings' own class (PROVIDER) wins.

    It applies to new checkpoints: Spark goes on with a checkpoint's class, and the files are the same.
    """
    if given := settings.properties.get(PROVIDER):
        return given
    if settings.state_store == "memory":
        return MEMORY
    plan: Any = rows._jdf.queryExecution().analyzed()
    return INCREMENTAL if mode == "update" and fits_spark() and _only_removes(plan) else ROCKSDB


def fits_spark() -> bool:
    """Return whether this is the Spark that the store was made for; with another one batches check all entries."""
    return bool(pyspark.__version__ == MADE_FOR)


def told() -> list[str]:
    """Return a line for the user if this is another Spark than we chose.

    Real-time mode brings its own, with its store.
    """
    if fits_spark() or real_time.entered():
        return []
    made_for = f"this is Spark {pyspark.__version__}, and the state store was made for {MADE_FOR}"
    return [f"{made_for}: a batch takes longer the more ids and keys are known"]


def _only_removes(plan: Any) -> bool:  # noqa: ANN401 - a Java object
    if not plan.isStreaming():
        return True
    name = plan.getClass().getSimpleName()
    children = [plan.children().apply(nth) for nth in range(plan.children().size())]
    with_a_table = name == _JOIN and sum(child.isStreaming() for child in children) == 1
    return (with_a_table or name in _REMOVE_ONLY | _STATELESS) and all(map(_only_removes, children))
