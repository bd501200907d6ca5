"""Messages read again: which ones are still there, the archive, and windows computed from both."""
