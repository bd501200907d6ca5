"""The reasons of dead letters for unreadable messages, each with the next step for a user.

Reasons are stored: never rename one. An event that was read and breaks a rule has another kind of reason: the field's
name and the rule, like `clicks_negative` (common.event_rules).
"""

EMPTY = "empty"
SHORT = "short"
WRONG_MAGIC_BYTE = "wrong_magic_byte"
UNKNOWN_SCHEMA_ID = "unknown_schema_id"
SCHEMA_ID_IN_HEADER = "schema_id_in_header"
OTHER_WIRE_FORMAT = "other_wire_format"
RECURSIVE_SCHEMA = "recursive_schema"
INCOMPATIBLE_SCHEMA = "incompatible_schema"
UNDECODABLE = "undecodable"
TRAILING_BYTES = "trailing_bytes"
NOT_JSON = "not_json"
CRASHES_THE_JOB = "crashes_the_job"

# Newer Confluent clients can put the schema's id here, and write the value as plain Avro.
VALUE_SCHEMA_ID_HEADER = "__value_schema_id"

_REMEDIES = {
    EMPTY: "There is nothing to repair: find the producer that sends messages without a value (in a topic that is "
    "compacted it may be a delete).",
    SHORT: "The bytes were cut before the event began: send the event again from where it came from.",
    WRONG_MAGIC_BYTE: "It does not begin as the schema registry's messages do (`explain` says what it looks like): "
    "have the producer write Avro with the registry's serializer, and send the event again.",
    UNKNOWN_SCHEMA_ID: "Register the schema that wrote it so that it gets this id (or correct the registry that the "
    "producer uses), then replay it.",
    SCHEMA_ID_IN_HEADER: "Have the producer write the schema id before the value (Confluent's prefix schema id "
    "serializer, the default), and send the event again.",
    OTHER_WIRE_FORMAT: "It was written for another schema registry, which `explain` names: have the producer write the "
    "registry's format (a zero byte and the schema id in four bytes before the value), and send the event again.",
    RECURSIVE_SCHEMA: "The schema that wrote it refers to itself, and such events may be nested without end: use "
    "another schema.",
    INCOMPATIBLE_SCHEMA: "The contract cannot read the schema that wrote it: register a version that it can read, and "
    "send the event again with that.",
    UNDECODABLE: "The bytes do not fit the schema that wrote them: correct the producer, and send the event again.",
    TRAILING_BYTES: "The bytes go on behind the event: correct the producer, and send the event again.",
    CRASHES_THE_JOB: "Its batch crashed twice, and without this message it did not: look into the job's log, correct "
    "the job, then replay it.",
    NOT_JSON: "The source takes JSON objects only: correct the producer, and send the event again.",
}


def remedy(reason: str) -> str:
    """Return the user's next step for an unreadable message."""
    return _REMEDIES.get(reason, "Correct the producer, and send the event again.")
