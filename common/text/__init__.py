"""Values as people write and read them: durations, moments, numbers, CSV, and text on a terminal."""
