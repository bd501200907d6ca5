"""Find the writer schemas that a contract can read, and the reasons why it cannot read the others.

A schema that cannot be read affects only its own messages: they are dead letters, and all others count.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from common.avro.resolution import Resolution, Unresolvable, resolve
from common.contracts import Contract
from common.reasons import INCOMPATIBLE_SCHEMA


@dataclass(frozen=True)
class Refusal:
    """Why no message of a schema counts: the reason of its dead letters, and half a sentence."""

    reason: str
    problem: str


def resolutions(writers: Mapping[int, Contract], reader: Contract) -> dict[int, Resolution | Refusal]:
    """Return for each schema, by id, the contract's way to read it, or the reason why it reads none of its messages."""
    return {schema_id: resolution(writer.text, reader) for schema_id, writer in writers.items()}


@lru_cache(maxsize=1024)
def resolution(writer: str, reader: Contract) -> Resolution | Refusal:
    """Return the contract's resolution of the writer's schema, given as text; or the reason why there is none.

    Cached: a batch with dead letters is read again with the same schemas.
    """
    try:
        return resolve(json.loads(writer), reader.schema)
    except Unresolvable as why:
        return Refusal(why.reason, why.problem)
    except (ValueError, RecursionError):
        return Refusal(INCOMPATIBLE_SCHEMA, "the writer's schema is no JSON")


def unreadable_line(schema_id: int, writer: Contract, why: Refusal) -> str:
    """Return the user's line about a schema whose messages do not count."""
    return (
        f"{writer.subject} version {writer.version} (schema id {schema_id}) cannot be read by the contract: "
        f"{why.problem}; its messages become dead letters ({why.reason}), all others count"
    )
