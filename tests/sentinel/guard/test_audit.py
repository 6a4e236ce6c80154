"""What the guard remembers of denials: bounded, and no flood or forerunner hides a miner."""

from __future__ import annotations

import subprocess
import sys

from sentinel.guard.audit import Audit, Record

POOL = "eu.rplant.xyz"
FLOOD = 1500


def audited() -> tuple[Audit, list[Record]]:
    records: list[Record] = []
    return Audit(records.append, clock=lambda: 0.0), records


def flooded(audit: Audit) -> None:
    for number in range(FLOOD):
        audit.deny("dns", f"n{number}.example", 53, "name-not-allowed")


def test_a_flood_of_names_hides_no_pool() -> None:
    audit, records = audited()
    flooded(audit)
    audit.deny("dns", POOL, 53, "name-not-allowed")
    audit.deny("tcp", "203.0.113.9", 17155, "no-rule")
    first, second, *rest = audit.destinations()
    assert {(first.destination, first.mining), (second.destination, second.mining)} == {
        (POOL, "pool-name"),
        ("203.0.113.9", "pool-port"),
    }
    assert audit.totals == {"allowed": 0, "denied": 1, "namesDenied": FLOOD + 1, "mining": 2}
    assert [each["mining"] for each in records if "mining" in each] == ["pool-name", "pool-port"]
    assert "others" in {each.destination for each in rest}


def test_what_is_remembered_is_bounded_whatever_is_asked_for() -> None:
    audit, _ = audited()
    flooded(audit)
    for number in range(FLOOD):
        audit.deny("dns", f"n{number}.rplant.xyz", 53, "name-not-allowed")
    assert len(audit.destinations()) <= 1000 + 100 + 1
    assert audit.totals["namesDenied"] == 2 * FLOOD


def test_a_miner_that_comes_after_another_program_is_seen() -> None:
    audit, _ = audited()
    audit.deny("tcp", "203.0.113.9", 443, "no-rule")
    program = [sys.executable, "-c", "input(1)", "xmrig", "--algorithm", "randomvirel"]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe) as miner:
        assert miner.stdout
        miner.stdout.read(1)  # only then its command line is sure to be in place
        audit.deny("tcp", "203.0.113.9", 443, "no-rule", pid=miner.pid)
        miner.communicate(b"\n")
    (found,) = audit.destinations()
    assert (found.mining, found.count) == ("miner-command", 2)


def test_not_every_process_is_looked_at() -> None:
    audit, _ = audited()
    for pid in range(2**22, 2**22 + 100):
        audit.deny("tcp", "203.0.113.9", 443, "no-rule", pid=pid)
    (found,) = audit.destinations()
    assert (found.count, len(found.looked_at)) == (100, 8)
