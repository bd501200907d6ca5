"""Late events: count a batch's by window and delay, and write the counts to `late_events`."""
