"""From bytes to events that count: decode, judge, and name the problem."""
