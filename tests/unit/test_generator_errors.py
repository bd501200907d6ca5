"""An error in the generator of a user's source is one line that names the place."""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.errors import AdstreamError, BadInput, ConfigError
from producer.source import Source
from producer.timeline import Timeline
from producer.traffic import Keys, Mix

HERE = Path(__file__)


def records(make: Callable[..., Any], key: str = "user_id", keys: Keys | None = None) -> None:
    next(Source("own", "logins", key, make, keys, {}).records(1, Mix(), Timeline(0, 1.0)))


def raising(_rng: Random, _key: str, _timestamp: int, _event_id: str) -> dict[str, object]:
    return {"user_id": 1 // 0}


def keyless(_rng: Random, _key: str, timestamp: int, _event_id: str) -> dict[str, object]:
    return {"timestamp": timestamp}


def with_one_more(_rng: Random, _key: str, _timestamp: int, _event_id: str, _more: int) -> dict[str, object]:
    return {}


def refusing(_rng: Random, _key: str, _timestamp: int, _event_id: str) -> dict[str, object]:
    raise ConfigError("no key", "give one")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (raising, rf"ZeroDivisionError: .*; correct {re.escape(str(HERE))} line \d+"),
        (keyless, rf"KeyError: 'user_id'; correct {re.escape(str(HERE))}"),
        (with_one_more, rf"TypeError: .*missing 1 required .*; correct {re.escape(str(HERE))}"),
    ],
)
def test_a_generator_that_fails_is_one_line_with_the_place(make: Callable[..., Any], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        records(make)
    assert re.fullmatch(f"the generator of own failed: {said}", str(refused.value)), refused.value


def test_an_error_for_users_stays_as_it_is() -> None:
    with pytest.raises(AdstreamError, match=r"^no key; give one$"):
        records(refusing)


def test_a_key_that_is_no_field_of_the_contract_is_one_line() -> None:
    with pytest.raises(
        ConfigError, match=r"^usr is the message key of source own, and no field of its contract; give one"
    ):
        records(raising, "usr", Keys("user-"))
