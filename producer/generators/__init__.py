"""One file per source of events: the generator of its live events, and the documented samples of its jobs.

Each file names its source as `SOURCE`; `producer.events` finds it there.
"""
