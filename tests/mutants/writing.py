"""Faults on the way of a row: encoding, batches, leases, the applying process."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "a null is written as a tombstone",
        "Every row without views leaves a tombstone, and reads become slow.",
        "streaming/sinks/cql_columns.py",
        r'NOT_SET = pa.scalar(b"\xff\xff\xff\xfe", pa.binary())',
        r'NOT_SET = pa.scalar(b"\xff\xff\xff\xff", pa.binary())',
        "tests/unit/test_cql_columns.py::test_bigint",
    ),
    Fault(
        "times before 1970 are rounded up",
        "Window starts before 1970 are a millisecond off.",
        "streaming/sinks/cql_values.py",
        "(value - _EPOCH) // _MILLISECOND)",
        "int((value - _EPOCH) / _MILLISECOND))",
        "tests/unit/test_cql_values.py::test_timestamp_is_cut_to_milliseconds",
    ),
    Fault(
        "a decimal has a byte too few",
        "Costs with a highest bit of one become negative.",
        "streaming/sinks/cql_values.py",
        "unscaled.to_bytes(unscaled.bit_length() // 8 + 1,",
        "unscaled.to_bytes((unscaled.bit_length() + 7) // 8 or 1,",
        "tests/unit/test_cql_values.py::test_decimal",
    ),
    Fault(
        "a request may be twice as large",
        "Cassandra refuses the batches, and the job fails on busy tables.",
        "streaming/sinks/batching.py",
        "self._max_rows - batch.rows, self._max_bytes - batch.size)",
        "self._max_rows, self._max_bytes)",
        "tests/unit/test_sink_batches.py::test_all_rows_are_sent_once_and_in_their_order",
    ),
    Fault(
        "only one unfinished batch is sent",
        "The last rows of all other replica sets are written nowhere, and the offsets are committed.",
        "streaming/sinks/batching.py",
        "        while self._filling:\n",
        "        if self._filling:\n",
        "tests/unit/test_sink_batches.py::test_all_rows_are_sent_once_and_in_their_order",
    ),
    Fault(
        "of waiting rows the first one is kept",
        "A row shows an old count until its next event.",
        "streaming/apply/newest.py",
        "if waiting.version >= update.version:",
        "if waiting.version <= update.version:",
        "tests/property/test_newest.py::test_the_newest_row_of_each_key_is_written_whatever_happens",
    ),
    Fault(
        "a version is read with eight bits a byte",
        "Rows are compared by wrong versions, and older ones win.",
        "streaming/apply/updates.py",
        "        shift += 7\n",
        "        shift += 8\n",
        "tests/unit/streaming/test_apply_updates.py::test_the_version_is_read_without_the_record",
    ),
    Fault(
        "all batches of a writer have one timestamp",
        "Of two batches Cassandra keeps the larger value of a cell, not the newer one.",
        "common/bookkeeping/leases.py",
        "return self._start + self._used - 1",
        "return self._start",
        "tests/unit/test_leases.py::"
        "test_each_batch_writes_with_a_larger_timestamp_and_a_used_up_lease_is_followed_by_another",
    ),
    Fault(
        "a used-up lease goes on",
        "The timestamps of a long run reach into the lease of its successor, and an old writer wins.",
        "common/bookkeeping/leases.py",
        "if self._used == BATCHES:",
        "if self._used > BATCHES:",
        "tests/unit/test_leases.py::"
        "test_each_batch_writes_with_a_larger_timestamp_and_a_used_up_lease_is_followed_by_another",
    ),
    Fault(
        "offsets are committed before their rows are written",
        "A process that is killed in between loses the rows.",
        "streaming/apply/applier.py",
        "            if updates:\n                self._apply(updates, stopping, wait)\n"
        "            self.changelog.applied()\n",
        "            self.changelog.applied()\n"
        "            if updates:\n                self._apply(updates, stopping, wait)\n",
        "tests/unit/test_applier.py::test_rows_are_written_before_their_offsets_are_committed",
    ),
    Fault(
        "rows that cannot be written are tried for ever",
        "A process without Cassandra never says that it cannot go on.",
        "streaming/apply/applier.py",
        "if not _may_pass(error) or left <= 0 or stopping.is_set():",
        "if not _may_pass(error) or stopping.is_set():",
        "tests/unit/test_applier.py::test_rows_that_were_not_written_are_not_committed",
    ),
    Fault(
        "alerts and dead letters wait for the leader alone",
        "A dead letter is lost with its broker, and its batch is committed.",
        "streaming/sinks/dead_letters.py",
        '"kafka.acks": "all",',
        '"kafka.acks": "1",',
        "tests/unit/test_kafka_clients.py::test_spark_waits_for_all_replicas_and_not_for_ever",
    ),
)
