"""Runs each test that takes a `seed` once per seed, as a fault of the campaign. Each must report its run."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames and "account" not in metafunc.fixturenames:
        pytest.fail(f"{metafunc.function.__name__} has a seed and takes no account", pytrace=False)
