"""Messages by other people's encoders, and the values that a reader of the ads contract must see in each."""
