"""The faults of the mutation check, by area."""

from tests.mutants import checking, clients, events, patterns, writing
from tests.mutants.fault import Fault

FAULTS: tuple[Fault, ...] = (
    *patterns.FAULTS,
    *events.FAULTS,
    *writing.FAULTS,
    *clients.FAULTS,
    *checking.FAULTS,
)
