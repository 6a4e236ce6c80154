"""A sentinel's answers: what a hostile machine may have written, validated and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from garrison.errors import UnavailableError
from garrison.ports.sentinel import (
    Denied,
    EgressView,
    Evidence,
    ProcessEvidence,
    ProcessView,
    SentinelState,
    View,
)

_ANSWER = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


def _printable(text: str) -> str:
    """Return the text as it may stand in a status or an Event: nothing in it moves a cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)


Text = Annotated[str, Field(max_length=1024), AfterValidator(_printable)]
Count = Annotated[int, Field(ge=0, le=2**53)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class LevelAnswer:
    level: Literal["Enforced", "BestEffort", "DeclaredOnly", "Refused", "Unknown"] = "Unknown"
    rung: Text = ""
    mode: Literal["Enforce", "Audit"] = "Enforce"
    leaks: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    limits: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    remaining: Annotated[tuple[Text, ...], Field(max_length=128)] = ()
    self_test: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class EgressAnswer:
    version: Count
    level: LevelAnswer = Field(default_factory=LevelAnswer)


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class DeniedAnswer:
    destination: Text
    address: Text = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    protocol: Text = "tcp"
    process: Text = ""
    count: Count = 1
    last_seen: AwareDatetime
    mining: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class CertificateAnswer:
    not_after: AwareDatetime
    key: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class WorkloadAnswer:
    running: bool
    restarts: Count = 0
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class StatusAnswer:
    instance: Annotated[str, Field(min_length=32, max_length=64)]
    state: SentinelState
    certificate: CertificateAnswer | None = None
    egress: EgressAnswer | None = None
    secrets: Annotated[dict[str, Count], Field(max_length=64)] = Field(default_factory=dict)
    workload: WorkloadAnswer | None = None
    denied: Annotated[tuple[DeniedAnswer, ...], Field(max_length=200)] = ()
    observed: Annotated[tuple[DeniedAnswer, ...], Field(max_length=200)] = ()
    denied_total: Count = 0
    sealed_because: Text | None = None
    entered: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    resolvers: Annotated[tuple[Text, ...], Field(max_length=8)] | None = None


File = Annotated[str, Field(max_length=4200)]
"""A path of Linux, with what the agent adds to it."""
Hash = Annotated[str, Field(pattern=r"^([0-9a-f]{64}|unreadable)$")]
Hashes = Annotated[dict[File, Hash], Field(max_length=20_000)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class ProcessAnswer:
    pid: Count
    ppid: Count
    uid: Annotated[int, Field(ge=-1, le=2**32)] = -1
    exe: File = ""
    argv0: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class IntegrityAnswer:
    files: Hashes = Field(default_factory=dict)
    missing: Annotated[tuple[Text, ...], Field(max_length=256)] = ()
    executables: Hashes = Field(default_factory=dict)
    libraries: Hashes = Field(default_factory=dict)
    sentinel: Text = ""
    processes: Annotated[tuple[ProcessAnswer, ...], Field(max_length=5000)] = ()
    truncated: bool = False


_STATUS: TypeAdapter[StatusAnswer] = TypeAdapter(StatusAnswer)
_EGRESS: TypeAdapter[EgressAnswer] = TypeAdapter(EgressAnswer)
_INTEGRITY: TypeAdapter[IntegrityAnswer] = TypeAdapter(IntegrityAnswer)


def view_of(answer: Mapping[str, Any], *, digest: str, key: str | None) -> View:
    """Return a status answer as a view. Raises UnavailableError for one that makes no sense."""
    found = _valid(_STATUS, answer)
    return View(
        instance=found.instance,
        state=found.state,
        digest=digest[:64],
        key=key,
        certificate_until=found.certificate.not_after if found.certificate else None,
        egress=_egress(found),
        secrets=found.secrets,
        process=_process(found.workload),
        sealed_because=found.sealed_because or "",
        entered=found.entered,
        resolvers=found.resolvers,
    )


def egress_view(answer: Mapping[str, Any]) -> EgressView:
    """Return the answer to a change of policy. Raises UnavailableError."""
    return _view(_valid(_EGRESS, answer))


def evidence_of(answer: Mapping[str, Any], *, instance: str) -> Evidence:
    """Return a signed answer as evidence. Raises UnavailableError for one that makes no sense."""
    found: IntegrityAnswer = _valid(_INTEGRITY, answer)
    return Evidence(
        instance=instance,
        sentinel=found.sentinel,
        files=found.files,
        missing=found.missing,
        executables=found.executables,
        libraries=found.libraries,
        processes=tuple(
            ProcessEvidence(
                pid=each.pid,
                parent=each.ppid,
                uid=each.uid,
                executable=each.exe,
                name=each.argv0,
            )
            for each in found.processes
        ),
        truncated=found.truncated,
    )


def _view(answer: EgressAnswer) -> EgressView:
    level = answer.level
    honest = level.level if level.mode == "Enforce" or level.level != "Enforced" else "DeclaredOnly"
    tested = not level.self_test.startswith("failed")
    return EgressView(
        version=answer.version,
        level=honest if tested else "BestEffort",
        rung=level.rung,
        mode=level.mode,
        leaks=level.leaks if tested else (*level.leaks, f"self-test {level.self_test}"),
        limits=level.limits,
        remaining=level.remaining,
    )


def _egress(found: StatusAnswer) -> EgressView | None:
    if found.egress is None:
        return None
    base = _view(found.egress)
    seen = found.observed if base.mode == "Audit" else found.denied
    return replace(
        base,
        denied_total=found.denied_total,
        denied=tuple(
            Denied(
                destination=each.destination,
                address=each.address,
                port=each.port,
                protocol=each.protocol,
                process=each.process,
                count=each.count,
                last_seen=each.last_seen,
                mining=each.mining,
            )
            for each in seen
        ),
    )


def _process(found: WorkloadAnswer | None) -> ProcessView | None:
    if found is None:
        return None
    return ProcessView(running=found.running, restarts=found.restarts, last_exit=found.exit_code)


def _valid(adapter: TypeAdapter[Any], answer: Mapping[str, Any]) -> Any:
    try:
        return adapter.validate_python(answer)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"])
        raise UnavailableError(
            f"the sentinel's answer makes no sense at {where}: {first['msg']}"
        ) from None
