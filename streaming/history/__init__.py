"""Messages read again: the messages that still exist, the archive, and windows computed from both."""
