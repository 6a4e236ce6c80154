"""Every link, path and anchor in the documents leads somewhere."""

from __future__ import annotations

import re

import pytest

from devenv.checkout import ROOT
from tests.docs.document import Document, documents

ROOTS = (ROOT, ROOT / "operator", ROOT / "operator" / "garrison")
"""Where paths in prose start; docs/architecture.md says so."""
_PATH = re.compile(r"^[a-z_.-]+(/[A-Za-z0-9_.-]+)*(/|\.(py|md|yaml|svg|go|toml))$")
MADE = {"market.yaml"}
"""What a reader writes."""

LINKS = [
    pytest.param(document, link, id=f"{document}-{link}")
    for document in documents()
    for link in sorted(set(document.links))
]
PATHS = [
    pytest.param(code, id=f"{document}-{code}")
    for document in documents()
    for code in sorted(set(document.inline_code))
    if _PATH.match(code) and code not in MADE
]


@pytest.mark.parametrize(("document", "link"), LINKS)
def test_links_lead_somewhere(document: Document, link: str) -> None:
    assert "://" not in link, "documents stand alone: link to nothing outside the checkout"
    path, _, anchor = link.partition("#")
    target = (document.path.parent / path) if path else document.path
    assert target.exists()
    if anchor:
        assert anchor in Document(path=target).anchors


@pytest.mark.parametrize("code", PATHS)
def test_paths_in_prose_exist(code: str) -> None:
    assert any((root / code).exists() for root in ROOTS) or _is_room(code)


def _is_room(code: str) -> bool:
    """A room's subfolder may be named alone, as in a table about the room."""
    return code.endswith("/") and any((ROOT / "operator" / "garrison").glob(f"*/{code}"))
