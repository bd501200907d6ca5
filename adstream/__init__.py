"""The command line, and what every part shares: settings, errors, clients."""
