"""The API page lists every route, code and kind of entry, and its shell blocks are well formed."""

import re
import subprocess
from pathlib import Path

from litestar.routes import WebSocketRoute

from adapters.security import generate_box_key, generate_signing_key
from domain.shared.events import EventType
from entrypoints.http import run_routes
from entrypoints.http.app import create_app
from entrypoints.http.problems import PROBLEMS
from entrypoints.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs/api.md").read_text()


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]


def nameless(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_every_route_is_listed_and_no_other() -> None:
    app = create_app(
        Settings(
            database_url="postgresql://nowhere/none",
            database_dispatch_url="postgresql://nowhere/none",
            redis_url="redis://nowhere",
            s3_endpoint="http://nowhere",
            s3_access_key="none",
            s3_secret_key="none",
            jwt_signing_key=generate_signing_key()[1],
            secret_box_keys=generate_box_key(),
        )
    )
    served = {
        (method, nameless(route.path))
        for route in app.routes
        for method in (["WS"] if isinstance(route, WebSocketRoute) else route.methods)
        if method != "OPTIONS" and not route.path.startswith("/api/v1/schema")
    }
    listed = re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", section("Endpoints"), re.MULTILINE)
    assert {(method, nameless(path)) for method, path in listed} == served
    assert len(listed) == len(served)


def test_every_code_is_listed_with_its_status() -> None:
    listed = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| (.+) \|$", section("Errors"), re.MULTILINE)
        for code in re.findall(r"`([a-z_]+)`", codes)
    }
    assert listed == {(kind.status, code) for code, kind in PROBLEMS.items()}


def test_every_kind_of_entry_is_listed() -> None:
    named = set(re.findall(r"`((?:run|step)\.[a-z_]+)`", section("The live stream")))
    assert named == {kind.value for kind in EventType} | {"step.progress"}


def test_every_close_code_is_listed() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d{4}) \|", section("The live stream"), re.M)}
    used = {value for name, value in vars(run_routes).items() if name.startswith("CLOSE_")}
    assert listed == used


def test_the_shell_blocks_can_be_parsed() -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 8
    done = subprocess.run(["bash", "-n"], input="\n".join(blocks), text=True, check=False)
    assert done.returncode == 0
