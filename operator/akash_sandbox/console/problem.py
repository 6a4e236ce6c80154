"""Refusals in the Console's words and shape."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import ValidationError

_NAMES = {
    400: ("BadRequestError", "bad_request", "client_error"),
    401: ("UnauthorizedError", "unauthorized", "authentication_error"),
    402: ("PaymentRequiredError", "payment_required", "client_error"),
    404: ("NotFoundError", "not_found", "client_error"),
    422: ("UnprocessableEntityError", "unprocessable_entity", "client_error"),
    429: ("TooManyRequestsError", "too_many_requests", "rate_limit_error"),
    503: ("ServiceUnavailableError", "service_unavailable", "server_error"),
}
_OTHER = ("InternalServerError", "internal_server_error", "server_error")


class ProblemError(Exception):
    """A request that ends with an error answer."""

    def __init__(self, status: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.data = data

    def response(self) -> web.Response:
        """Return the answer."""
        error, code, kind = _NAMES.get(self.status, _OTHER)
        body = {"error": error, "message": str(self), "code": code, "type": kind}
        if self.data is not None:
            body["data"] = self.data
        return web.json_response(body, status=self.status)


def validation_problem(error: ValidationError) -> ProblemError:
    """Return the 400 for a request that is not in the contract's shape."""
    issues = [{"path": list(i["loc"]), "message": i["msg"]} for i in error.errors()]
    return ProblemError(400, "Validation error", issues)
