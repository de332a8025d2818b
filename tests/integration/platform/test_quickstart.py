"""The quickstart of docs/api.md, run as it is printed, block after block."""

import asyncio
import os
import re
import zipfile
from pathlib import Path
from uuid import uuid4

from entrypoints.cli.platform import Platform
from tests.integration.platform.partner import partner_of

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)


async def test_every_command_of_the_quickstart_works(platform: Platform, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    blocks = _BLOCK.findall(text)
    assert len(blocks) >= 5
    script = "set -euo pipefail\n" + "\n".join(blocks)
    async with partner_of(platform.url, platform.environment["DATABASE_OWNER_URL"]) as partner:
        token = partner.http.headers["Authorization"].removeprefix("Bearer ")
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "BASE_URL": platform.url,
            "PARTNER_TOKEN": token,
            "EMAIL": f"reader-{uuid4().hex[:8]}@example.com",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-3000:]
    archives = list(tmp_path.rglob("*.zip"))
    assert archives
    assert zipfile.ZipFile(archives[0]).testzip() is None
