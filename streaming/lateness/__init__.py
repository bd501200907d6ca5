"""Late events: counts each batch's by window and delay, and writes them to `late_events`."""
