"""References and challenges as they are written in the wild."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.registry.challenge import Challenge, parse_challenges
from garrison.adapters.registry.reference import parse_reference
from garrison.errors import ImageError

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "authority", "repository"),
    [
        ("ghcr.example/acme/model", "ghcr.example", "acme/model"),
        ("ghcr.example/acme/model:v1.2", "ghcr.example", "acme/model"),
        ("localhost/acme", "localhost", "acme"),
        ("localhost:5000/acme:1", "localhost:5000", "acme"),
        ("host:5000/a/b/c", "host:5000", "a/b/c"),
        ("nginx", "registry-1.docker.io", "library/nginx"),
        ("nginx:1.27", "registry-1.docker.io", "library/nginx"),
        ("vllm/vllm-openai", "registry-1.docker.io", "vllm/vllm-openai"),
        ("docker.io/vllm/vllm-openai", "registry-1.docker.io", "vllm/vllm-openai"),
        ("index.docker.io/nginx", "registry-1.docker.io", "library/nginx"),
    ],
)
def test_references(text: str, authority: str, repository: str) -> None:
    found = parse_reference(f"{text}@{DIGEST}")
    assert (found.authority, found.repository, found.digest) == (authority, repository, DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "nginx:1.27",
        f"@{DIGEST}",
        f"host.example/UPPER@{DIGEST}",
        f"host.example/a/../b@{DIGEST}",
        f"host.example//b@{DIGEST}",
        f"user@host.example/b@{DIGEST}",
        f"-host.example/b@{DIGEST}",
        "nginx@sha256:abc",
        f"nginx@{DIGEST.upper()}",
        f"nginx@{DIGEST}\n",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ImageError):
        parse_reference(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://auth.example/token",service="reg.example",scope="a,b"',
            [
                Challenge(
                    scheme="bearer",
                    realm="https://auth.example/token",
                    service="reg.example",
                    scope="a,b",
                )
            ],
        ),
        ("Basic realm=plain", [Challenge(scheme="basic", realm="plain")]),
        (
            'BASIC realm="x", bearer realm = "y" , service="z"',
            [
                Challenge(scheme="basic", realm="x"),
                Challenge(scheme="bearer", realm="y", service="z"),
            ],
        ),
        ("Negotiate", [Challenge(scheme="negotiate")]),
        (r'Basic realm="say \"hi\""', [Challenge(scheme="basic", realm='say "hi"')]),
        ('realm="x"', []),
        ("", []),
        ("Basic " + "x" * 10_000, []),
    ],
)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert list(parse_challenges([header])) == expected


@given(st.lists(st.text(max_size=200), max_size=3))
def test_no_header_breaks_the_parser(headers: list[str]) -> None:
    assert all(each.scheme for each in parse_challenges(headers))
