"""Whether Spark's tasks run, which the words of a query's status do not tell: they are the same while it plans."""

from pyspark import SparkContext


def all_tasks_run(context: SparkContext) -> bool:
    """Return whether all tasks of all stages of some Spark job run at this moment.

    A real-time batch takes events from then on, and at no other time are all its tasks running.
    """
    tracker = context.statusTracker()
    return any(_all_run(context, job) for job in tracker.getActiveJobsIds())


def _all_run(context: SparkContext, job: int) -> bool:
    tracker = context.statusTracker()
    known = tracker.getJobInfo(job)
    stages = [tracker.getStageInfo(stage) for stage in known.stageIds] if known else []
    return bool(stages) and all(stage and 0 < stage.numActiveTasks == stage.numTasks for stage in stages)
