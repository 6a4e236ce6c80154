"""Why a transaction fails, in the SDK's words."""

from __future__ import annotations

from typing import NoReturn

from akash_sandbox.market.refusal import RefusalError


class TxError(RefusalError):
    """A transaction that is refused before its messages are executed."""


def sdk(code: int, text: str) -> TxError:
    """Return a refusal of the SDK's own codespace."""
    return TxError(text, codespace="sdk", code=code)


def refuse(code: int, text: str) -> NoReturn:
    """Raise a refusal of the SDK's own codespace."""
    raise sdk(code, text)


def parse_error(text: str) -> TxError:
    return sdk(2, f"{text}: tx parse error: tx parse error")


def duplicate() -> TxError:
    """Return the refusal of a transaction that the node has seen; it has no text."""
    return sdk(19, "")


def mempool_full() -> TxError:
    """Return the refusal of a node whose mempool is full; it has no text either."""
    return sdk(20, "")


def out_of_gas(where: str, wanted: int, used: int) -> TxError:
    return sdk(
        11, f"out of gas in location: {where}; gasWanted: {wanted}, gasUsed: {used}: out of gas"
    )


def wrong_sequence(expected: int, got: int) -> TxError:
    return sdk(
        32, f"account sequence mismatch, expected {expected}, got {got}: incorrect account sequence"
    )


def bad_signature(number: int, chain_id: str) -> TxError:
    return sdk(
        4,
        f"signature verification failed; please verify account number ({number}) and chain-id "
        f"({chain_id}): (unable to verify single signer signature): unauthorized",
    )
