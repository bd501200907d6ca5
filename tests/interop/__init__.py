"""Messages that other people's encoders wrote, and what a reader of the ads contract must see in each."""
