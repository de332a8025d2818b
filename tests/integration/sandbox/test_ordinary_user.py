"""The sandbox needs no root: the same holds when an ordinary user runs it.

As root, this starts a Python of the system as ``nobody``: the interpreter of these tests may
lie in a home that no other user can enter.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import adapters.sandbox

PROGRAM = """
import asyncio, json, os
from adapters.sandbox import BubblewrapSandbox
from application.ports.sandbox import SandboxLimits

INSIDE = '''
import os
print(os.getuid(), sorted(p for p in os.listdir("/proc") if p.isdecimal()))
print([p for p in ("/home", "/root/.bashrc", "/work", "/etc/shadow") if os.path.exists(p)])
print(open("/proc/1/environ").read())
'''
BOMB = "import os\\nwhile True:\\n    try: os.fork()\\n    except OSError: pass"
HOARD = "import os\\nfor _ in range(3): os.fork()\\nx = b'x' * 40_000_000\\nwhile True: pass"

async def main():
    sandbox = BubblewrapSandbox()
    availability = await sandbox.availability()
    outcomes = {"uid": os.geteuid(), "reason": availability.reason}
    if availability.available:
        limits = SandboxLimits(wall_seconds=50, memory_bytes=200 * 1024 * 1024, processes=32)
        inside = await sandbox.run({"a.py": INSIDE.encode()}, ("python3", "a.py"), limits)
        outcomes["inside"] = inside.stdout.splitlines() or inside.stderr
        for name, program, wall in (
            ("bomb", BOMB, 50), ("hoard", HOARD, 50), ("forever", "while True: pass", 2)
        ):
            limits = SandboxLimits(wall_seconds=wall, memory_bytes=200 * 1024 * 1024, processes=32)
            outcomes[name] = (await sandbox.run({}, ("python3", "-c", program), limits)).outcome
    print(json.dumps(outcomes))

asyncio.run(main())
"""


def test_an_ordinary_user_can_use_it() -> None:
    python, prefix = sys.executable, []
    if os.geteuid() == 0:
        system, setpriv = shutil.which("python3", path="/usr/bin"), shutil.which("setpriv")
        if system is None or setpriv is None:
            pytest.skip("no Python that another user could start")
        python = system
        prefix = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"]
    source = Path(adapters.sandbox.__file__).parents[2]
    packages = Path(pytest.__file__).parents[1]
    run = subprocess.run(
        [*prefix, python, "-c", PROGRAM],
        env={
            "PYTHONPATH": f"{source}:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOKEN": "s3cret",
        },
        cwd="/",
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if "ImportError" in run.stderr or "ModuleNotFoundError" in run.stderr:
        pytest.skip("another user cannot read this project, or its Python is too old")
    assert run.returncode == 0, run.stderr
    outcomes = json.loads(run.stdout)
    if outcomes["reason"]:
        pytest.skip(outcomes["reason"])
    assert outcomes.pop("uid") != 0
    assert outcomes == {
        "reason": "",
        "inside": ["1000 ['1', '2']", "[]", ""],
        "bomb": "out_of_processes",
        "hoard": "out_of_memory",
        "forever": "timed_out",
    }
