"""One file per source of events: how its live events are made up, and the documented samples of its jobs.

Each file names its source as `SOURCE`; `producer.events` finds it there.
"""
