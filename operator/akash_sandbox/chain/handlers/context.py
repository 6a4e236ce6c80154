"""What a message is executed in."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from akash_proto.schema.akash_base_deposit_v1_pb2 import Deposit
from akash_proto.schema.akash_market_v1_pb2 import BidID, LeaseID
from akash_sandbox.chain.state import State
from akash_sandbox.market.escrow import Source
from akash_sandbox.market.lease import LeaseKey

_SOURCES = {1: Source.BALANCE, 2: Source.GRANT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The state, and the block's time (Unix seconds) and height."""

    state: State
    now: float
    height: int


def sources(deposit: Deposit) -> tuple[Source, ...]:
    """Return where a deposit is to come from, in its order."""
    return tuple(_SOURCES[each] for each in deposit.sources if each in _SOURCES)


def key(id_: BidID | LeaseID) -> LeaseKey:
    """Return the name of a bid or lease."""
    return LeaseKey(
        owner=id_.owner,
        dseq=str(id_.dseq),
        gseq=id_.gseq,
        oseq=id_.oseq,
        provider=id_.provider,
    )


def seconds(duration: Duration) -> int:
    return int(duration.seconds)
