"""The debug consumer: decode and print what is on the wire, never commit unless asked."""
