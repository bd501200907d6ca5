"""Faults on the way of a message: wire format, resolution, rules, lateness, and the steps of a batch."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "the schema id is written with its lowest byte first",
        "No other program finds the schema of a message.",
        "common/avro/wire.py",
        'HEADER = struct.Struct(">bI")',
        'HEADER = struct.Struct("<bI")',
        "tests/unit/test_ad_traffic.py::test_every_message_starts_with_the_five_byte_header",
    ),
    Fault(
        "a field that the writer lacks loses its default",
        "An event of schema version 1 has no event_id at all, where the contract says null.",
        "common/avro/values.py",
        "defaults[each.name] = _default(each.type, each.default)",
        "defaults.pop(each.name, None)",
        "tests/unit/test_avro_resolution.py::test_a_message_is_read_by_the_writers_schema_into_the_contracts_fields",
    ),
    Fault(
        "bytes behind an event are ignored",
        "A damaged message decodes as a good one.",
        "common/avro/resolution.py",
        "if at < len(value):",
        "if at > len(value):",
        "tests/unit/test_avro_resolution.py::test_bytes_left_over_are_told_with_their_place",
    ),
    Fault(
        "a delay is rounded down",
        "The advised lateness would not have kept the events that it promises.",
        "common/lateness/delays.py",
        "return -(-seconds // step) * step",
        "return seconds // step * step",
        "tests/unit/test_delays.py::test_a_rounded_delay_is_enough_and_at_most_a_tenth_too_long",
    ),
    Fault(
        "the rank of a percentile is rounded down",
        "A lateness is said to keep 99 % of the events, and keeps fewer.",
        "common/lateness/delays.py",
        "rank = -(-sum(delays.values()) * per_mille // 1_000)",
        "rank = sum(delays.values()) * per_mille // 1_000",
        "tests/unit/test_delays.py::test_percentiles_are_by_nearest_rank_in_the_sorted_list",
    ),
    Fault(
        "a failed batch is committed",
        "The job swallows the error of a write, and Spark commits the offsets of rows that are in no table.",
        "streaming/micro_batch/writer.py",
        "            self.error = error\n            raise\n",
        "            self.error = error\n",
        "tests/unit/test_batch_writer.py::test_a_batch_whose_late_events_cannot_be_written_is_not_done",
    ),
    Fault(
        "results of batches are never forgotten",
        "A job that runs for weeks grows without limit.",
        "streaming/micro_batch/writer.py",
        "if len(self.written) > _REMEMBERED:",
        "if len(self.written) > _REMEMBERED and seen.dead:",
        "tests/unit/test_batch_writer.py::test_what_old_batches_left_behind_is_forgotten",
    ),
)
