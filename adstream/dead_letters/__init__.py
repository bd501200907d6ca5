"""Dead letters: read, explained, repaired and sent back."""
