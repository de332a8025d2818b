"""Every snippet of docs/api.md, run as it is printed: curl block after block, Python as files."""

import asyncio
import os
import re
import sys
import zipfile
from pathlib import Path
from uuid import uuid4

from entrypoints.cli.platform import Platform
from entrypoints.local_stack.ports import choose_free_port
from tests.integration.platform.partner import partner_of

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
SHELL = re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
PYTHON = re.findall(r"as `([a-z]+\.py)`:\n\n```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_every_python_snippet_has_a_name_to_be_run_under() -> None:
    assert len(PYTHON) == len(re.findall(r"^```python$", PAGE, re.MULTILINE)) == 3


async def test_every_snippet_works(platform: Platform, tmp_path: Path) -> None:
    for name, text in PYTHON:
        (tmp_path / name).write_text(text)
    async with partner_of(platform.url, platform.environment["DATABASE_OWNER_URL"]) as partner:
        token = partner.http.headers["Authorization"].removeprefix("Bearer ")
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        "set -euo pipefail\n" + "\n".join(SHELL),
        cwd=tmp_path,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "BASE_URL": platform.url,
            "PARTNER_TOKEN": token,
            "EMAIL": f"reader-{uuid4().hex[:8]}@example.com",
            "WEBHOOK_URL": f"http://127.0.0.1:{choose_free_port()}/hooks",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(240):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-3000:]
    told = (tmp_path / "events.txt").read_text()
    assert "run.accepted" in told
    assert "run.succeeded" in told
    for name in ("project.zip", "from-python.zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.testzip() is None
            assert any("/code/" in member for member in archive.namelist())
    assert re.search(r"^succeeded \d+ credits$", output.decode(), re.MULTILINE)
