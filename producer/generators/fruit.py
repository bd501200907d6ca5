"""Fruit, by an id that the static table of categories knows."""

from random import Random

from producer.samples import Event, one_step
from producer.source import Source
from producer.timeline import millis
from producer.traffic import Keys

SAMPLE_START = "2023-07-30T10:00:00Z"
SAMPLE_STEP_MILLIS = 10_000

# The first has id 1; streaming/data/fruit_categories.csv has a category for each.
NAMES = (
    "apple", "banana", "cherry", "date", "elderberry", "fig", "grape", "honeydew", "imbe", "jackfruit",
    "kiwi", "lemon", "mango", "nectarine", "orange", "papaya", "quince", "raspberry", "strawberry", "tangerine",
    "ugli", "vanilla bean", "watermelon", "xigua", "yuzu", "zucchini", "apricot", "blackberry", "coconut", "durian",
)  # fmt: skip


def event(_rng: Random, key: str, timestamp: int, _event_id: str) -> Event:
    """Make a fruit. Ids above 30 have no category, so the join drops these fruits."""
    number = int(key)
    name = NAMES[number - 1] if number <= len(NAMES) else f"unknown fruit {number}"
    return {"id": number, "value": name, "timestamp": timestamp}


# One every 10 seconds: 1 apple, 2 banana, ... 22 vanilla bean (a spice), 26 zucchini (a vegetable). 30 rows come out.
FRUITS = one_step(
    {"id": number, "value": name, "timestamp": millis(SAMPLE_START) + (number - 1) * SAMPLE_STEP_MILLIS}
    for number, name in enumerate(NAMES, start=1)
)

SOURCE = Source("fruit", "fruit_data", "id", event, Keys("", width=0, count=30), {"fruit-categories": FRUITS})
