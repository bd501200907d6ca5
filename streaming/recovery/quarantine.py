"""Set aside messages that crash a batch, as dead letters, so that the job goes on.

No message should be able to crash a batch: decoding and judging have a reason for every known problem. This module
serves unforeseen problems. If a batch crashes twice, it is computed again in halves, quarters and so on, without
writing anything. The search ends at single messages that crash by themselves. They are named only if the rest of the
batch then passes. If a service fails during the search, or a bug affects any event, no message is to blame.
"""

from collections.abc import Callable, Mapping

# With more crashing messages than this in one batch, the job is wrong, not the messages.
MOST = 20
# Crashes of a batch before its messages are suspected.
CRASHES = 2

# Partition -> [first offset, end offset).
Ranges = Mapping[int, tuple[int, int]]


def culprits(ranges: Ranges, crashes: Callable[[Ranges], bool]) -> list[tuple[int, int]]:
    """Return the (partition, offset) of messages that crash by themselves; none if messages are not the cause.

    `crashes(ranges)` computes these messages and returns whether that failed.
    """
    found: list[tuple[int, int]] = []
    suspected = [ranges]
    while suspected:
        part = suspected.pop()
        if not crashes(part):
            continue
        if _size(part) == 1:
            [(partition, (offset, _))] = [each for each in part.items() if each[1][1] > each[1][0]]
            found.append((partition, offset))
            if len(found) > MOST:
                return []
        else:
            suspected += _halves(part)
    if not found or any(crashes(part) for part in _without(ranges, found)):
        return []
    # Compute them once more after the rest has passed: a service may have failed just at that moment.
    again = all(crashes({partition: (offset, offset + 1)}) for partition, offset in found)
    return sorted(found) if again else []


def _size(ranges: Ranges) -> int:
    return sum(end - begin for begin, end in ranges.values())


def _halves(ranges: Ranges) -> list[Ranges]:
    """Divide messages into two parts with as many messages each, give or take one."""
    first: dict[int, tuple[int, int]] = {}
    second: dict[int, tuple[int, int]] = {}
    wanted = _size(ranges) // 2
    for partition, (begin, end) in ranges.items():
        middle = min(end, begin + wanted)
        wanted -= middle - begin
        first[partition], second[partition] = (begin, middle), (middle, end)
    return [first, second]


def _without(ranges: Ranges, places: list[tuple[int, int]]) -> list[Ranges]:
    """Return the messages without the excluded ones, in few parts: one per gap in a partition."""
    pieces: dict[int, list[tuple[int, int]]] = {}
    for partition, (begin, end) in ranges.items():
        gaps = sorted(offset for other, offset in places if other == partition)
        starts, ends = [begin, *(gap + 1 for gap in gaps)], [*gaps, end]
        pieces[partition] = [(start, stop) for start, stop in zip(starts, ends, strict=True) if stop > start]
    most = max((len(each) for each in pieces.values()), default=0)
    return [
        {partition: each[number] for partition, each in pieces.items() if number < len(each)} for number in range(most)
    ]
