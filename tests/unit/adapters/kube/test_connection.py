"""What a kubeconfig holds is read into memory, and lies in no other file afterwards."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from garrison.adapters.kube.connection import Credentials, Pem, open_connection
from garrison.errors import RejectedError
from kube_light.server import kubeconfig
from tests.sentinel.pki import CLIENT, Authority

SERVER = "https://127.0.0.1:1"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's temporary files lie."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def pem() -> Pem:
    """An authority, and a client's certificate with its key."""
    authority = Authority("cluster")
    issued = authority.issue("garrison://test", usage=CLIENT)
    return Pem(
        authority=authority.pem.strip(),
        certificate=issued.certificate.strip(),
        key=issued.key.strip(),
    )


def left(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


def written(path: Path, cluster: Mapping[str, str], user: Mapping[str, str]) -> str:
    body = kubeconfig(SERVER)
    body["clusters"][0]["cluster"] |= cluster
    body["users"][0]["user"] |= user
    path.write_text(yaml.safe_dump(body))
    return str(path)


async def credentials(path: str) -> Credentials:
    connection = await open_connection(path, None)
    try:
        return await connection.credentials()
    finally:
        await connection.close()


async def test_what_stands_in_it_is_in_no_file_while_it_is_used(
    pem: Pem, scratch: Path, tmp_path: Path
) -> None:
    encoded = {
        "certificate-authority-data": pem.authority,
        "client-certificate-data": pem.certificate,
        "client-key-data": pem.key,
    }
    inline = {name: base64.b64encode(text.encode()).decode() for name, text in encoded.items()}
    authority = {"certificate-authority-data": inline.pop("certificate-authority-data")}
    path = written(tmp_path / "kubeconfig", authority, inline)
    for _ in range(2):
        connection = await open_connection(path, None)
        assert left(scratch) == []
        assert (await connection.credentials()).pem == pem
        await connection.close()


async def test_files_that_it_names_are_read_again(pem: Pem, scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(pem.authority)
    path = written(tmp_path / "kubeconfig", {"certificate-authority": "ca.pem"}, {"token": "t0"})
    connection = await open_connection(path, None)
    other = Authority("another").pem.strip()
    (tmp_path / "ca.pem").write_text(f"# Zażółć gęślą jaźń\n{other}\n\n# the end\n")
    found = await connection.credentials()
    await connection.close()
    assert (found.pem, found.token) == (Pem(authority=other), "t0")
    assert left(scratch) == []


async def test_a_key_that_cannot_be_read_leaves_nothing_either(
    pem: Pem, scratch: Path, tmp_path: Path
) -> None:
    broken = base64.b64encode(b"no key at all").decode()
    certificate = base64.b64encode(pem.certificate.encode()).decode()
    user = {"client-certificate-data": certificate, "client-key-data": broken}
    authority = {"certificate-authority-data": base64.b64encode(pem.authority.encode()).decode()}
    with pytest.raises(RejectedError, match="kubeconfig"):
        await open_connection(written(tmp_path / "kubeconfig", authority, user), None)
    assert left(scratch) == []


async def test_neither_key_nor_token_is_printed(pem: Pem, tmp_path: Path) -> None:
    path = written(tmp_path / "kubeconfig", {}, {"token": "canary-token"})
    shown = repr(await credentials(path)) + repr(pem)
    assert "canary-token" not in shown
    assert pem.key not in shown
