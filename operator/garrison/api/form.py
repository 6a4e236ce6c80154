"""What a field's text must look like, told once for the operator and for the API server.

Each annotation checks on the operator's side and leaves the same rule, as CEL, in the JSON schema
under ``RULES``; ``garrison.api.structure`` moves it into the CustomResourceDefinition.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from garrison.api.quantity import parse_millis
from garrison.errors import InvalidSpecError

RULES = "x-garrison-rules"
INT_OR_STRING = "x-kubernetes-int-or-string"


def refusal(remedy: str) -> PydanticCustomError:
    """Return the error to raise in a validator; its text is shown to people as it is."""
    return PydanticCustomError("garrison", "{remedy}", {"remedy": remedy})


class Checked(ABC):
    """An annotation of a text with one rule."""

    __slots__ = ()

    @abstractmethod
    def rule(self) -> tuple[str, str]:
        """Return the rule in CEL, and what a person reads when it does not hold."""

    @abstractmethod
    def check(self, text: str) -> str:
        """Return the text; raises what ``refusal`` gives."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found, (rule, message) = handler(schema), self.rule()
        earlier = found.get(RULES, [])
        return {**found, RULES: [*earlier, {"rule": rule, "message": message}]}


@dataclass(frozen=True, slots=True)
class Form(Checked):
    """Text that matches a pattern, or with ``refused`` must not; ``remedy`` says what to write.

    Patterns keep to what Python and RE2 (which CEL uses) read alike: no classes such as ``\\w``.
    """

    pattern: str
    remedy: str
    refused: bool = False

    def rule(self) -> tuple[str, str]:
        negation = "!" if self.refused else ""
        quote = '"' if "'" in self.pattern else "'"  # a raw text of CEL cannot hold its own quote
        return f"{negation}self.matches(r{quote}{self.pattern}{quote})", self.remedy

    def check(self, text: str) -> str:
        found = re.search(self.pattern, text) is not None and not text.endswith("\n")
        if found == self.refused:
            raise refusal(self.remedy)
        return text


@dataclass(frozen=True, slots=True)
class Between(Checked):
    """A quantity within bounds that are quantities themselves."""

    low: str
    high: str
    hint: str

    @property
    def message(self) -> str:
        return f"must be from {self.low} to {self.high}; {self.hint}"

    def rule(self) -> tuple[str, str]:
        rule = (
            "!isQuantity(self) || "
            f"(quantity(self).compareTo(quantity('{self.low}')) >= 0 && "
            f"quantity(self).compareTo(quantity('{self.high}')) <= 0)"
        )
        return rule, self.message

    def check(self, text: str) -> str:
        try:
            value = parse_millis(text)
        except InvalidSpecError as error:
            raise refusal(str(error)) from None
        if not parse_millis(self.low) <= value <= parse_millis(self.high):
            raise refusal(self.message)
        return text


@dataclass(frozen=True, slots=True)
class Network(Checked):
    """A network in CIDR notation, of IPv4 or IPv6; bits of a host may be set."""

    remedy: str

    def rule(self) -> tuple[str, str]:
        return "isCIDR(self)", self.remedy

    def check(self, text: str) -> str:
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise refusal(self.remedy) from None
        if "/" not in text:
            raise refusal(self.remedy)
        return text


@dataclass(frozen=True, slots=True)
class IntOrText:
    """Text that may also be written as a whole number without quotes, as people do in YAML.

    A number with a fraction is refused: its digits are already lost when a program reads it.
    """

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._text, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        inner = handler(schema)
        rules = [
            {**each, "rule": each["rule"].replace("self", "string(self)")}
            for each in inner.get(RULES, [])
        ]
        return {**inner, RULES: rules, INT_OR_STRING: True}

    def _text(self, value: object) -> object:
        match value:
            case bool():
                return value
            case int():
                return str(value)
            case float():
                raise refusal(f'put a number with a fraction in quotes: "{value}"')
            case _:
                return value
