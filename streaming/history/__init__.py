"""Messages read again: the ones that still exist, the archive, and windows computed from both."""
