"""Runs each test that takes a `seed` once per seed, from 1 to the number in `--seeds`."""

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(1, 1 + metafunc.config.getoption("seeds")))
