"""Why the market refuses a request, in the chain's own words."""

from __future__ import annotations


class RefusalError(Exception):
    """A request that the chain would refuse; ``codespace`` and ``code`` are the chain's."""

    def __init__(self, text: str, *, codespace: str, code: int, status: int = 400) -> None:
        super().__init__(text)
        self.codespace = codespace
        self.code = code
        self.status = status


def deployment_not_found() -> RefusalError:
    return RefusalError("Deployment not found", codespace="deployment", code=4, status=404)


def deployment_closed() -> RefusalError:
    return RefusalError("Deployment closed", codespace="deployment", code=5)


def bid_not_found() -> RefusalError:
    return RefusalError("invalid bid: bid not found", codespace="market", code=18, status=404)


def bid_not_open() -> RefusalError:
    return RefusalError("bid not open", codespace="market", code=12)


def order_not_open() -> RefusalError:
    return RefusalError("order not open", codespace="market", code=13)


def lease_not_found() -> RefusalError:
    return RefusalError("lease not found", codespace="market", code=20, status=404)


def lease_not_active() -> RefusalError:
    return RefusalError("lease not active", codespace="market", code=10)


def insufficient_balance() -> RefusalError:
    return RefusalError(
        "deposit invalid: insufficient balance", codespace="undefined", code=1, status=402
    )


def deposit_too_low(received: int, least: int) -> RefusalError:
    return RefusalError(
        f"Deposit too low - {received} < {least}uact: Deposit invalid",
        codespace="deployment",
        code=20,
    )


def wrong_denom(denom: str) -> RefusalError:
    return RefusalError(
        f"Mismatched denominations (uact != {denom}): Deposit invalid",
        codespace="deployment",
        code=20,
    )


def reclamation_too_short() -> RefusalError:
    return RefusalError(
        "min_window below governance minimum: invalid reclamation configuration",
        codespace="deployment",
        code=26,
    )


def account_closed() -> RefusalError:
    return RefusalError("account closed", codespace="escrow", code=2)
