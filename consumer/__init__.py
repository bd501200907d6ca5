"""The debug consumer: decode and print messages as they are on the wire. It never commits unless asked."""
