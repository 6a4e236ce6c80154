"""The container fields of a workload: what one replica runs and rents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from garrison.api.form import Between, Form, IntOrText, refusal
from garrison.api.meta import SPEC, LocalRef
from garrison.api.quantity import PATTERN as QUANTITY

IS_QUANTITY = Form(QUANTITY, "must be a quantity such as 500m, 8 or 32Gi")
Text = Annotated[str, Field(max_length=4096)]
IMAGE = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:[0-9a-f]{64}$"
CREDENTIAL = (
    r"(?i)(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?"
    r"|API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY)$"
)
REPEATED_MODEL = "models lists the same GPU model twice; remove one"
ONE_WAY = "a secret is seen as env or as file: set exactly one of the two"
NEEDS_FILE = "a variable changes only at start: use file, or onRotate: Restart"


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class EnvVar:
    """One environment variable. The provider can read it: no credentials here."""

    name: Annotated[
        str,
        Field(max_length=128),
        Form(
            r"^[A-Za-z_][A-Za-z0-9_]{0,127}$",
            "must be letters, digits and _, not starting with a digit, such as LOG_LEVEL",
        ),
        Form(
            CREDENTIAL,
            "looks like a credential, and the provider can read every environment variable: "
            "remove it, and use spec.secrets with a RotatingSecret",
            refused=True,
        ),
    ] = Field(description="Name of the variable; names of credentials are refused.")
    value: Text = Field(default="", description="Its value, readable by the provider.")


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SecretUse:
    """A RotatingSecret as the process sees it: a variable at start, or a file that changes."""

    rotating_secret_ref: LocalRef = Field(
        description="Name of the RotatingSecret, in the same namespace."
    )
    env: (
        Annotated[
            str,
            Field(max_length=128),
            Form(
                r"^[A-Za-z_][A-Za-z0-9_]{0,127}$",
                "must be letters, digits and _, not starting with a digit, such as HF_TOKEN",
            ),
        ]
        | None
    ) = Field(default=None, description="Variable that holds it when the process starts.")
    file: (
        Annotated[
            str,
            Field(max_length=128),
            Form(
                r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$",
                "must be a plain file name such as weights.key; the directory is in GARRISON_SECRETS",
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="File in the directory that the variable GARRISON_SECRETS names; replaced atomically.",
    )
    on_rotate: Literal["Restart", "Signal", "None"] = Field(
        default="Restart",
        description="What a new version does to the process; Signal (SIGHUP) and None need file.",
    )

    @model_validator(mode="after")
    def _is_seen_one_way(self) -> SecretUse:
        if (self.env is None) == (self.file is None):
            raise refusal(ONE_WAY)
        if self.on_rotate != "Restart" and self.file is None:
            raise refusal(NEEDS_FILE)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class GpuModel:
    """A GPU model, exact: nothing inferior is substituted."""

    vendor: Literal["nvidia"] = Field(
        default="nvidia", description="Who makes it; default: nvidia."
    )
    model: Annotated[
        str,
        Field(max_length=63),
        Form(
            r"^[a-z0-9][a-z0-9-]{0,62}$",
            "must be the market's name in lower case, such as h100, a100 or rtx4090",
        ),
    ] = Field(description="The market's name of the model, such as h100, a100, rtx4090.")
    memory: (
        Annotated[
            str,
            Field(max_length=8),
            Form(r"^[1-9][0-9]{0,3}Gi$", "must be whole gibibytes, such as 80Gi"),
        ]
        | None
    ) = Field(
        default=None,
        description="GPU memory, such as 80Gi; providers that do not advertise it do not bid.",
    )
    interface: Literal["pcie", "sxm"] | None = Field(
        default=None, description="How it is connected; default: either."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Gpu:
    """GPUs of one replica."""

    count: Annotated[int, Field(ge=1, le=24)] = Field(default=1, description="GPUs of one replica.")
    models: Annotated[tuple[GpuModel, ...], Field(min_length=1, max_length=8)] = Field(
        description="Acceptable models in order of preference; the next is tried when no bid comes."
    )

    @model_validator(mode="after")
    def _is_free_of_repeats(self) -> Gpu:
        if len(set(self.models)) < len(self.models):
            raise refusal(REPEATED_MODEL)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Resources:
    """What one replica rents."""

    cpu: Annotated[
        str,
        Field(max_length=24),
        IS_QUANTITY,
        Between("10m", "384", "write cores, such as 500m or 8"),
        IntOrText(),
    ] = Field(description="CPU cores, such as 500m or 8.")
    memory: Annotated[
        str,
        Field(max_length=24),
        IS_QUANTITY,
        Between("1Mi", "2Ti", "a number without a unit means bytes: write 32Gi"),
        IntOrText(),
    ] = Field(description="Memory, such as 32Gi.")
    storage: Annotated[
        str,
        Field(max_length=24),
        IS_QUANTITY,
        Between("5Mi", "32Ti", "a number without a unit means bytes: write 100Gi"),
        IntOrText(),
    ] = Field(default="10Gi", description="Ephemeral disk, such as 100Gi.")
    gpu: Gpu | None = Field(default=None, description="GPUs; default: none.")


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Metrics:
    """Where the workload tells about itself, in Prometheus' text format."""

    path: Annotated[
        str,
        Field(max_length=512),
        Form(r"^/[!-~]*$", "must start with / and hold no spaces, such as /metrics"),
    ] = Field(
        default="/metrics",
        description="Asked for inside the container, at spec.port; a change rolls the replicas.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Template:
    """The container fields: a change makes a new revision. Stored in a ControllerRevision."""

    image: str
    port: int
    resources: Resources
    image_pull_secrets: tuple[LocalRef, ...] = ()
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    secrets: tuple[SecretUse, ...] = ()
    trust: Literal["Verified", "Unverified"] = "Verified"
    metrics: Metrics | None = None


TEMPLATE_ADAPTER: TypeAdapter[Template] = TypeAdapter(Template)
