"""Why the market refuses a request, in the chain's own words."""

from __future__ import annotations


class RefusalError(Exception):
    """A request that the chain would refuse; ``codespace`` and ``code`` are the chain's.

    ``status`` is what the Console answers.
    """

    def __init__(self, text: str, *, codespace: str, code: int, status: int = 400) -> None:
        super().__init__(text)
        self.codespace = codespace
        self.code = code
        self.status = status


def _deployment(text: str, code: int, status: int = 400) -> RefusalError:
    return RefusalError(text, codespace="deployment", code=code, status=status)


def _market(text: str, code: int, status: int = 400) -> RefusalError:
    return RefusalError(text, codespace="market", code=code, status=status)


def deployment_exists() -> RefusalError:
    return _deployment("Deployment exists", 3)


def deployment_not_found() -> RefusalError:
    return _deployment("Deployment not found", 4, 404)


def deployment_closed() -> RefusalError:
    return _deployment("Deployment closed", 5)


def duplicate_group(name: str) -> RefusalError:
    return _deployment(
        f"duplicate deployment group name {name}: duplicate group name: Invalid groups", 7
    )


def same_hash() -> RefusalError:
    return _deployment("Invalid: deployment hash", 10)


def group_not_found() -> RefusalError:
    return _deployment("Group not found", 14, 404)


def group_closed() -> RefusalError:
    return _deployment("Group already closed", 15)


def group_open() -> RefusalError:
    return _deployment("Group open", 16)


def group_paused() -> RefusalError:
    return _deployment("Group paused", 17)


def deposit_too_low(received: int, least: int) -> RefusalError:
    return _deployment(f"Deposit too low - {received} < {least}uact: Deposit invalid", 20)


def wrong_denom(denom: str, other: str = "uact") -> RefusalError:
    return _deployment(f"Mismatched denominations ({other} != {denom}): Deposit invalid", 20)


def reclamation_too_short() -> RefusalError:
    return _deployment("min_window below governance minimum: invalid reclamation configuration", 26)


def reclamation_too_long() -> RefusalError:
    return _deployment("min_window above governance maximum: invalid reclamation configuration", 26)


def attribute_mismatch() -> RefusalError:
    return _market("attribute mismatch", 5)


def lease_not_active() -> RefusalError:
    return _market("lease not active", 10)


def bid_not_open() -> RefusalError:
    return _market("bid not open", 12)


def order_not_open() -> RefusalError:
    return _market("order not open", 13)


def order_not_found() -> RefusalError:
    return _market("invalid order: order not found", 15, 404)


def bid_not_found() -> RefusalError:
    return _market("invalid bid: bid not found", 18, 404)


def lease_not_found() -> RefusalError:
    return _market("invalid lease: lease not found", 20, 404)


def bid_exists() -> RefusalError:
    return _market("invalid bid: bid exists from provider", 21)


def bid_price_invalid() -> RefusalError:
    return _market("bid price is invalid", 22)


def unknown_provider() -> RefusalError:
    return _market("unknown provider", 30)


def capabilities_mismatch() -> RefusalError:
    return _market("capabilities mismatch", 32)


def bad_reason(reason: int) -> RefusalError:
    return _market(f'value "{reason}" range 10000..19999: invalid lease closed reason', 33)


def not_reclaimable() -> RefusalError:
    return _market("lease is not reclaimable", 35)


def already_reclaiming() -> RefusalError:
    return _market("lease is already reclaiming", 36)


def reclaim_not_started() -> RefusalError:
    return _market("reclamation not started; call MsgLeaseStartReclaim first", 37)


def window_not_elapsed() -> RefusalError:
    return _market("reclamation window has not elapsed", 38)


def reclamation_required() -> RefusalError:
    return _market("order requires reclamation but bid does not offer it", 40)


def window_too_short() -> RefusalError:
    return _market("reclamation window shorter than order minimum", 41)


def insufficient_balance() -> RefusalError:
    return RefusalError(
        "deposit invalid: insufficient balance", codespace="undefined", code=1, status=402
    )


def bid_deposit_too_low(received: str, least: int) -> RefusalError:
    return RefusalError(
        f"deposit invalid: minimum:{least}uact received:{{{received}}}",
        codespace="undefined",
        code=1,
    )


def account_closed() -> RefusalError:
    return RefusalError("account closed", codespace="escrow", code=2)


def account_not_found() -> RefusalError:
    return RefusalError("account not found", codespace="escrow", code=3, status=404)
