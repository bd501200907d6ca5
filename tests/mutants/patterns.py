"""Faults in the rules of the patterns."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "a session ends after exactly its gap",
        "Two events exactly one gap apart are two sessions instead of one.",
        "streaming/patterns/user_sessions.py",
        "if at - session.last > self._gap:",
        "if at - session.last >= self._gap:",
        "tests/property/test_sessions.py::test_in_event_order_the_sessions_are_those_between_the_gaps",
    ),
    Fault(
        "sessions never expire",
        "The state keeps a session of every user for ever.",
        "streaming/patterns/user_sessions.py",
        "return None if self.expires_at(state) <= watermark else state",
        "return state",
        "tests/property/test_sessions.py::test_no_session_is_remembered_past_its_gap",
    ),
    Fault(
        "an event at the time of the newest one is late",
        "Events of the same millisecond are left out of the session.",
        "streaming/patterns/user_sessions.py",
        "if at < session.last:",
        "if at <= session.last:",
        "tests/property/test_sessions.py::test_in_event_order_the_sessions_are_those_between_the_gaps",
    ),
    Fault(
        "a pause of exactly the timeout restarts a total",
        "A user who pays every hour to the microsecond always starts again from nothing.",
        "streaming/patterns/expiring_totals.py",
        "if at - last > self._timeout:",
        "if at - last >= self._timeout:",
        "tests/property/test_totals.py::test_in_event_order_every_transaction_is_in_the_totals",
    ),
    Fault(
        "a running total forgets ids too early",
        "A repeated transaction counts twice although the watermark has not passed its time.",
        "streaming/patterns/running_totals.py",
        "for name, at in self.ids.items() if at > watermark}",
        "for name, at in self.ids.items() if at > watermark + 1_000_000_000}",
        "tests/property/test_totals.py::test_in_event_order_every_transaction_is_in_the_totals",
    ),
    Fault(
        "an alert at the threshold",
        "A hundred errors raise an alert, although only more than a hundred may.",
        "streaming/patterns/error_alerts.py",
        "alert = errors > self._threshold and not raised",
        "alert = errors >= self._threshold and not raised",
        "tests/property/test_alerts.py::test_an_error_alert_comes_once_for_each_window_above_the_threshold",
    ),
    Fault(
        "an alert that is raised again",
        "Each batch with one more error raises the alert of its window again.",
        "streaming/patterns/error_alerts.py",
        "alert = errors > self._threshold and not raised",
        "alert = errors > self._threshold",
        "tests/property/test_alerts.py::test_an_error_alert_comes_once_for_each_window_above_the_threshold",
    ),
    Fault(
        "hot readings need not be in a row",
        "A cool reading does not reset the count, so a healthy rack gets a warning.",
        "streaming/patterns/rack_alerts.py",
        "hot = hot + 1 if temperature >= self._threshold else 0",
        "hot = hot + 1 if temperature >= self._threshold else hot",
        "tests/property/test_alerts.py::test_in_event_order_a_rack_changes_where_its_last_readings_say_so",
    ),
    Fault(
        "equal totals have no order",
        "A replay gives two products with the same total other ranks.",
        "streaming/patterns/top_products.py",
        "key=lambda each: (-each[1], each[0])",
        "key=lambda each: -each[1]",
        "tests/patterns/test_top_products.py::test_ranks_go_by_total_and_ties_by_product",
    ),
)
