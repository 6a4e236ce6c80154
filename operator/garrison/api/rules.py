"""CEL rules across the fields of one object, by the name of its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from garrison.api import account, container, egress, policy, secret, workload

_IMMUTABLE = "the spec of an AkashLease cannot change: the operator makes a new lease instead"

OBJECT_RULES: Mapping[str, Sequence[tuple[str, str]]] = {
    "Gpu": (("self.models.all(a, self.models.exists_one(b, a == b))", container.REPEATED_MODEL),),
    "Benchmark": (
        (
            "self.api != 'None' || "
            "!(has(self.minTokensPerSecond) || has(self.maxTimeToFirstTokenMilliseconds))",
            workload.THRESHOLDS,
        ),
    ),
    "PolicySpec": (
        (
            "!has(self.include) || !has(self.exclude) || "
            "self.include.all(each, !(each in self.exclude))",
            policy.DISJOINT,
        ),
    ),
    "Backend": (
        (
            "has(self.console) == (self.type == 'Console') && "
            "has(self.chain) == (self.type == 'Chain')",
            account.ONE_BACKEND,
        ),
    ),
    "ChainBackend": (("has(self.mnemonicSecretRef) != has(self.keySecretRef)", account.ONE_KEY),),
    "Allow": (("has(self.host) != has(self.cidr)", egress.ONE_KIND),),
    "Source": (
        (
            # Rules are checked on the default, {}, before the defaults inside it are filled in.
            "has(self.secretRef) == (has(self.type) && self.type == 'SecretRef') && "
            "has(self.webhook) == (has(self.type) && self.type == 'Webhook') && "
            "(!has(self.generate) || !has(self.type) || self.type == 'Generate')",
            secret.ONE_SOURCE,
        ),
    ),
    "RotatingSecretSpec": (
        (
            "!has(self.source) || !has(self.source.secretRef) || "
            "(has(self.scope) && self.scope == 'Workload')",
            secret.SHARED_ONLY,
        ),
        (
            "(has(self.scope) ? self.scope : 'Lease') == "
            "(has(oldSelf.scope) ? oldSelf.scope : 'Lease')",
            secret.FIXED_SCOPE,
        ),
    ),
    "SecretUse": (
        ("has(self.env) != has(self.file)", container.ONE_WAY),
        (
            "!has(self.onRotate) || self.onRotate == 'Restart' || has(self.file)",
            container.NEEDS_FILE,
        ),
    ),
    "WorkloadSpec": (
        (
            "!has(self.secrets) || self.secrets.all(a, self.secrets.exists_one(b, "
            "a.rotatingSecretRef.name == b.rotatingSecretRef.name))",
            workload.REPEATED_USE,
        ),
    ),
    "LeaseSpec": (("self == oldSelf", _IMMUTABLE),),
}
