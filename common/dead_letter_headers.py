"""The headers that a dead letter has in addition to its original's headers. They are stored: never rename one."""

REASON = "adstream.reason"
TOPIC = "adstream.topic"
PARTITION = "adstream.partition"
OFFSET = "adstream.offset"
TIMESTAMP = "adstream.timestamp"
SCHEMA_ID = "adstream.schema_id"
JOB = "adstream.job"
# On a replayed message: the place of the dead letter that it repeats.
REPLAYED_FROM = "adstream.replayed_from"
