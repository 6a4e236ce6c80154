"""Known mining pools: names, ports and programs, to mark denials that look like hijacking.

Sources: the campaign on rplant.xyz (AWS, November 2025), the pool and miner lists of Falco's stock
rules, and pools in the public configuration of xmrig and SRBMiner.
"""

from __future__ import annotations

_POOLS = (
    "rplant.xyz",
    "minexmr.com",
    "nanopool.org",
    "2miners.com",
    "f2pool.com",
    "ethermine.org",
    "nicehash.com",
    "supportxmr.com",
    "moneroocean.stream",
    "hashvault.pro",
    "unmineable.com",
    "herominers.com",
    "c3pool.com",
    "c3pool.org",
    "xmrpool.eu",
    "hiveon.net",
    "hiveon.com",
    "flypool.org",
    "antpool.com",
    "viabtc.com",
    "woolypooly.com",
    "kryptex.network",
    "dwarfpool.com",
    "minergate.com",
    "slushpool.com",
    "braiins.com",
    "zpool.ca",
    "zergpool.com",
    "prohashing.com",
    "miningpoolhub.com",
)
_WORDS = ("stratum", "minexmr", "xmrpool", "miningpool", "monero")
_PORTS = frozenset(
    {3333, 4444, 5555, 7777, 8333, 9999, 10128, 10300, 10343, 13361, 14433, 14444, 20535, 20536}
    | {45560, 45700, 7028, 7042, 7059, 7066, 7155, 17022, 17028, 17029, 17042, 17047, 17052}
    | {17054, 17059, 17066, 17068, 17070, 17115, 17155}
)
_PROGRAMS = (
    *("xmrig", "xmr-stak", "minerd", "minergate", "cpuminer", "ccminer", "ethminer", "cgminer"),
    *("bfgminer", "sgminer", "nbminer", "t-rex", "gminer", "lolminer", "phoenixminer"),
    *("teamredminer", "nanominer", "bminer", "wildrig", "srbminer", "stratum+", "stratum2+"),
)


def mining_sign(name: str, port: int, command: str) -> str:
    """Return pool-name, miner-command or pool-port for what looks like mining, else nothing."""
    if any(name == pool or name.endswith("." + pool) for pool in _POOLS):
        return "pool-name"
    if any(word in name for word in _WORDS):
        return "pool-name"
    if any(program in command.lower() for program in _PROGRAMS):
        return "miner-command"
    return "pool-port" if port in _PORTS else ""
