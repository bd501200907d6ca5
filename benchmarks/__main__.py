"""`make bench`: all benchmarks, one after the other."""

from benchmarks import daily_sales, dead_letters, late, latency, scaling, sink, throughput, verify

sink.main(rows=30_000, rounds=5)
dead_letters.main(messages=300_000, rounds=5)
scaling.main(messages=300_000, rounds=2)
late.main(rows=1_000_000, rounds=5)
daily_sales.main(rows=10_000_000, rounds=5)
throughput.main(messages=1_000_000, rounds=5, quix_seconds=15.0, peers=True, write=True)
latency.main(rate=list(latency.RATES), trigger=list(latency.TRIGGERS), seconds=30.0, warm=10.0, write=True)
verify.main(messages=10_000_000, job=True, again=False)
