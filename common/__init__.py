"""The shared code: settings, errors, clients, contracts, Avro, text and time. It imports no other part."""
