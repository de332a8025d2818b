"""SeaweedFS, the S3 server, with its own parts closed to everybody but itself.

``weed mini`` is five servers in one process, each with an HTTP and a gRPC port. As it comes, the
filer serves every bucket without credentials, and a plain GET on the master deletes one: on a
laptop, any web page can send that. Three settings close it:

- ``-disableHttp``: filer and master answer 404 to all that reads or changes data; the S3 gateway
  does not need their HTTP.
- signing keys in ``security.toml``: the volume server takes only what its peers have signed. They
  also stand behind ``-disableHttp``, should a later version mean less by it.
- mutual TLS on every gRPC port, with one certificate that trusts itself alone. It is made by the
  ``openssl`` command; without that command the gRPC ports stay open to programs on this machine
  (not to web pages), and the start logs a warning.

What still answers without credentials is status: ``/healthz``, ``/cluster/status`` and the
topology page of the master.
"""

import asyncio
import io
import json
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
import urllib3
from minio import Minio
from minio.error import MinioException

from entrypoints.local_stack.child_process import Command
from entrypoints.local_stack.credentials import StackPorts, StackSecrets, write_private
from entrypoints.local_stack.ports import HOST
from entrypoints.local_stack.server import BinaryServer

log: structlog.stdlib.BoundLogger = structlog.get_logger("local_stack")

BUCKET = "bharatbuild"

_READY_SECONDS = 60.0
_GRACE_SECONDS = 8.0
_PROBE_KEY = ".ready"
_GRPC_PARTS = ("master", "volume", "filer", "s3", "admin", "worker", "client")
# The options of its last start, which `weed mini` remembers; ours alone shall count.
_REMEMBERED_OPTIONS = "mini.options"


@dataclass(frozen=True, slots=True)
class _Files:
    """The names of what is in the server's folder; relative, for it is the working directory."""

    security: str = "security.toml"  # found there by itself, before $HOME and /etc
    identities: str = "identities.json"
    certificate: str = "grpc.crt"
    key: str = "grpc.key"
    data: str = "data"


_FILES = _Files()


class SeaweedServer(BinaryServer):
    """One ``weed mini`` in ``directory``, with our bucket in it once it has started."""

    name = "seaweedfs"

    def __init__(
        self,
        *,
        binary: Path,
        directory: Path,
        log_file: Path,
        ports: StackPorts,
        secrets: StackSecrets,
    ) -> None:
        self.log_file = log_file
        self.port = ports.seaweedfs_s3
        self._ports = ports
        self._secrets = secrets
        super().__init__(
            binary,
            directory,
            Command(
                name=self.name,
                argv=(str(binary), "-logtostderr=true", "mini", *_options(ports)),
                # Nothing of ours: AWS_* and S3_BUCKET would change what it creates.
                environment={"PATH": "/usr/bin:/bin", "HOME": str(directory)},
                directory=directory,
                log_file=log_file,
                # It finishes requests and closes its volumes, in a little over a second.
                stop_signal=signal.SIGTERM,
                grace_seconds=_GRACE_SECONDS,
            ),
            ready_seconds=_READY_SECONDS,
        )

    @property
    def ports(self) -> dict[str, int]:
        """What listens where."""
        ports = self._ports
        return {
            "SeaweedFS (S3)": ports.seaweedfs_s3,
            "SeaweedFS (S3, gRPC)": ports.seaweedfs_s3_grpc,
            "SeaweedFS (master)": ports.seaweedfs_master,
            "SeaweedFS (master, gRPC)": ports.seaweedfs_master_grpc,
            "SeaweedFS (volume)": ports.seaweedfs_volume,
            "SeaweedFS (volume, gRPC)": ports.seaweedfs_volume_grpc,
            "SeaweedFS (filer)": ports.seaweedfs_filer,
            "SeaweedFS (filer, gRPC)": ports.seaweedfs_filer_grpc,
            "SeaweedFS (admin)": ports.seaweedfs_admin,
            "SeaweedFS (admin, gRPC)": ports.seaweedfs_admin_grpc,
        }

    async def stop(self) -> None:
        """Stop it, and remove the sockets it forgets."""
        await super().stop()
        self._remove_sockets()

    async def end_leftovers(self) -> None:
        """End a server that a killed run has left behind, and remove its sockets."""
        await super().end_leftovers()
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        # Beside each gRPC port it opens a socket in /tmp, always there, and forgets some of them.
        ports = asdict(self._ports)
        for part in _GRPC_PARTS:
            port = ports.get(f"seaweedfs_{part}_grpc")
            with suppress(OSError):
                Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)

    def _configure(self) -> None:
        data = self.directory / _FILES.data
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        (data / _REMEMBERED_OPTIONS).unlink(missing_ok=True)
        encrypted = self._make_certificate()
        write_private(self.directory / _FILES.security, _security(self._secrets, encrypted))
        write_private(self.directory / _FILES.identities, _identities(self._secrets))

    def _make_certificate(self) -> bool:
        certificate, key = self.directory / _FILES.certificate, self.directory / _FILES.key
        if certificate.exists() and key.exists():
            return True
        openssl = shutil.which("openssl")
        if openssl is None:
            log.warning("seaweedfs_grpc_unprotected", reason="no openssl command")
            return False
        key_kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        files = ("-keyout", str(key), "-out", str(certificate))
        done = subprocess.run(
            [openssl, "req", "-x509", *key_kind, "-days", "3650", "-subj", "/CN=local", *files],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode != 0:
            certificate.unlink(missing_ok=True)
            key.unlink(missing_ok=True)
            log.warning("seaweedfs_grpc_unprotected", reason=done.stderr.strip()[-200:])
            return False
        key.chmod(0o600)
        return True

    async def _answers(self) -> bool:
        return await asyncio.to_thread(self._stores_an_object)

    def _stores_an_object(self) -> bool:
        with urllib3.PoolManager(retries=False, timeout=5.0) as pool:
            client = Minio(
                f"{HOST}:{self.port}",
                access_key=self._secrets.s3_access_key,
                secret_key=self._secrets.s3_secret_key,
                secure=False,
                region="us-east-1",
                http_client=pool,
            )
            try:
                if not client.bucket_exists(BUCKET):
                    client.make_bucket(BUCKET)
                # The gateway answers before the volume server can take anything.
                client.put_object(BUCKET, _PROBE_KEY, io.BytesIO(b"ready"), 5)
                client.remove_object(BUCKET, _PROBE_KEY)
            except (MinioException, urllib3.exceptions.HTTPError):
                return False
        return True


def _options(ports: StackPorts) -> tuple[str, ...]:
    return (
        f"-dir={_FILES.data}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        "-disableHttp",
        f"-master.port={ports.seaweedfs_master}",
        f"-master.port.grpc={ports.seaweedfs_master_grpc}",
        "-master.telemetry=false",
        # Volumes grow to this size; without it, it follows the disk's.
        "-master.volumeSizeLimitMB=256",
        f"-volume.port={ports.seaweedfs_volume}",
        f"-volume.port.grpc={ports.seaweedfs_volume_grpc}",
        # There is no load balancer to tell that we are leaving.
        "-volume.preStopSeconds=0",
        f"-filer.port={ports.seaweedfs_filer}",
        f"-filer.port.grpc={ports.seaweedfs_filer_grpc}",
        # Relative, and so within any limit on a socket's path; by default both are in /tmp.
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
        f"-s3.port={ports.seaweedfs_s3}",
        f"-s3.port.grpc={ports.seaweedfs_s3_grpc}",
        f"-s3.config={_FILES.identities}",
        "-s3.iam=false",
        # A wrong bucket's name is an error, not a new bucket.
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-admin.port={ports.seaweedfs_admin}",
        f"-admin.port.grpc={ports.seaweedfs_admin_grpc}",
        "-admin.ui=false",
        "-webdav=false",
    )


def _security(secrets: StackSecrets, encrypted: bool) -> str:
    signing = {
        "jwt.signing": secrets.seaweedfs_volume_key,
        "jwt.signing.read": secrets.seaweedfs_volume_read_key,
        "jwt.filer_signing": secrets.seaweedfs_filer_key,
        "jwt.filer_signing.read": secrets.seaweedfs_filer_read_key,
    }
    lines = [line for part, key in signing.items() for line in (f"[{part}]", f'key = "{key}"')]
    lines += ["[filer.expose_directory_metadata]", "enabled = false"]
    # The console is off; a password stands behind that as well.
    lines += ["[admin]", 'user = "admin"', f'password = "{secrets.seaweedfs_admin_password}"']
    if encrypted:
        lines += ["[grpc]", f'ca = "{_FILES.certificate}"']
        for part in _GRPC_PARTS:
            lines += [f"[grpc.{part}]", f'cert = "{_FILES.certificate}"', f'key = "{_FILES.key}"']
    return "\n".join(lines) + "\n"


def _identities(secrets: StackSecrets) -> str:
    credential = {"accessKey": secrets.s3_access_key, "secretKey": secrets.s3_secret_key}
    identity = {
        "name": "bharatbuild",
        "credentials": [credential],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]}, indent=2) + "\n"
