"""The schema registry, behind one client."""

from common.registry.client import AVRO, Registered, RegistryClient

__all__ = ["AVRO", "Registered", "RegistryClient"]
