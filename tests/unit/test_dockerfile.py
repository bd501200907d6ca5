"""The image's build fetches the JVM parts with a few files alone. These files must be sufficient."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from common.settings import Settings
from stack import parts
Settings()
print(*sorted(name for name in sys.modules if name.split(".")[0] == "common"))
"""


def test_fetching_needs_no_file_that_the_build_has_not_copied_by_then() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    before = dockerfile[: dockerfile.index("parts.ensure")]
    files = re.findall(r"common/([\w/]+)\.py", before)
    copied = {f"common.{file}".replace("/", ".").removesuffix(".__init__") for file in files}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert set(done.stdout.split()) == copied
