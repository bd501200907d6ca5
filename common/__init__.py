"""What every part shares: settings, errors, clients, contracts, Avro, text and time. It imports no other part."""
