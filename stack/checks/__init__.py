"""The checks of `adstream doctor`."""
