"""The market's state on disk: one SQLite file, written before every answer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from akash_sandbox.market.deployment import Deployment

_DEPLOYMENT = TypeAdapter(Deployment)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS deployments (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
_FORMAT = 2


class StoreError(Exception):
    """The state on disk cannot be used; the message says what to do."""


class Store:
    """Keeps deployments and named facts (JSON values)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._check_format(path)
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version={_FORMAT}")
        self._saved: dict[str, Deployment] = {}
        self._facts: dict[str, str] = {}

    def deployments(self) -> dict[str, Deployment]:
        """Return every deployment ever made, the oldest first."""
        rows = self._db.execute("SELECT id, body FROM deployments ORDER BY rowid").fetchall()
        self._saved = {id_: _DEPLOYMENT.validate_json(body) for id_, body in rows}
        return dict(self._saved)

    def save(self, deployments: Mapping[str, Deployment], facts: Mapping[str, Any]) -> None:
        """Write what changed since the last save, in one transaction."""
        changed = {k: d for k, d in deployments.items() if self._saved.get(k) is not d}
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO deployments VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET body=excluded.body",
            [(dseq, _DEPLOYMENT.dump_json(d).decode()) for dseq, d in changed.items()],
        )
        for name, value in facts.items():
            text = json.dumps(value)
            if self._facts.get(name) != text:
                self._facts[name] = text
                self._put(name, text)
        self._db.execute("COMMIT")
        self._saved.update(changed)

    def fact(self, name: str, default: Any = None) -> Any:
        """Return a named JSON value."""
        row = self._db.execute("SELECT body FROM facts WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def put(self, name: str, value: Any) -> None:
        """Keep a named JSON value."""
        self._put(name, json.dumps(value))

    def drop(self, name: str) -> None:
        self._db.execute("DELETE FROM facts WHERE name = ?", (name,))

    def named(self, prefix: str) -> dict[str, Any]:
        """Return all facts whose name starts with ``prefix``."""
        rows = self._db.execute(
            "SELECT name, body FROM facts WHERE substr(name, 1, ?) = ?", (len(prefix), prefix)
        )
        return {name: json.loads(body) for name, body in rows}

    def _put(self, name: str, text: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, text))

    def _check_format(self, path: Path) -> None:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and found != _FORMAT:
            raise StoreError(
                f"{path}: made by another version of the sandbox; remove the data folder"
            )

    def close(self) -> None:
        self._db.close()
