"""The whole flow with another version of the schema registry; tests/e2e/test_registry.py has the details."""

from pathlib import Path

import httpx2 as httpx
import pytest

from common.settings import Settings
from tests.e2e import other_registry
from tests.e2e.commands import MIX
from tests.e2e.pipeline import Pipeline, make_ad_tables, prepared


def test_every_event_is_counted_with_another_registry(
    stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "registry"
    with other_registry.other_registry(folder) as registry:
        about = httpx.get(registry.url.partition("/apis/")[0] + "/apis/registry/v3/system/info", trust_env=False)
        assert about.json()["version"] == other_registry.version()
        monkeypatch.setenv("ADSTREAM_REGISTRY_URL", registry.url)
        settings = prepared(monkeypatch)
        make_ad_tables(settings)
        pipeline = Pipeline(settings, tmp_path / "checkpoint")
        pipeline.produce("--count", "3000", "--over", "3m", *MIX)
        pipeline.stream_once()
        found = pipeline.verified()
    assert sum(found.fates.values()) == 3000
    assert min(found.fates[fate] for fate in ("counted", "late", "duplicate", "dead")) > 0
