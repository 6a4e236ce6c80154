"""Every error names its line and field; what the reference reads, is read as it reads it."""

from __future__ import annotations

import pytest

from garrison.adapters.akash.sdl import SdlError, parse
from garrison.adapters.akash.sdl.model import GpuModel, Version, Volume
from tests.unit.adapters.akash.sdl.documents import BASE, GPU, ONE_GPU, changed

CPU_ATTRIBUTE = "profiles.compute.web.resources.cpu.attributes.size"


def problems(text: str | bytes) -> list[tuple[int, str]]:
    with pytest.raises(SdlError) as raised:
        parse(text)
    return [(each.line, each.field) for each in raised.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ("image: nginx:1.27.3", "image: [a]", 4, "services.web.image"),
        ("image: nginx:1.27.3", "image: a\n    image: b", 5, "services.web"),
        ("port: 80", 'port: "80"', 6, "services.web.expose[0].port"),
        ("port: 80", "port: 80.5", 6, "services.web.expose[0].port"),
        ("port: 80", "ports: 80", 6, "services.web.expose[0].port"),
        ("as: 80", "as: 4294967296", 7, "services.web.expose[0].as"),
        ("as: 80", "accept: [A.b]", 7, "services.web.expose[0].accept[0]"),
        ("global: true", "global: maybe", 9, "services.web.expose[0].to[0].global"),
        ("- global: true", "global: true", 8, "services.web.expose[0].to"),
        ("- global: true", "- service: web", 2, "services"),
        ("units: 1", "units: 1x", 14, "profiles.compute.web.resources.cpu.units"),
        ("units: 1", "units: 0x10", 14, "profiles.compute.web.resources.cpu.units"),
        ("units: 1", "units: nan", 14, "profiles.compute.web.resources.cpu.units"),
        ("memory: {size: 512Mi}", "memory: {}", 15, "profiles.compute.web.resources.memory.size"),
        (
            "memory: {size: 512Mi}",
            "memory: {size: 1e}",
            15,
            "profiles.compute.web.resources.memory.size",
        ),
        ("storage: {size: 512Mi}", "storage: []", 16, "profiles.compute.web.resources.storage"),
        ("storage: {size: 512Mi}", "storage:", 16, "profiles.compute.web.resources.storage"),
        (
            "storage: {size: 512Mi}",
            "storage: [{size: 1Gi}, {size: 2Gi}]",
            16,
            "profiles.compute.web.resources.storage",
        ),
        ("amount: 1}", "amount: 1e3}", 20, "profiles.placement.p.pricing.web.amount"),
        ("amount: 1}", "amount: 10000001}", 20, "profiles.placement.p.pricing.web.amount"),
        ("denom: uact", 'denom: "u act"', 20, "profiles.placement.p.pricing.web.denom"),
        ("count: 1", "count: 0", 23, "deployment.web.p.count"),
        ("count: 1", "count: ", 23, "deployment.web.p.count"),
        ("web:\n    p: {", "web:\n    {p: 3, q: {", 23, "deployment.web.p"),
        ('version: "2.0"', "version: 2.0.1", 1, "version"),
        ('version: "2.0"', "version: 2.1.0-rc1", 1, "version"),
        ('version: "2.0"', "version: 1.9", 1, "version"),
        ('version: "2.0"', "version: two", 1, "version"),
        ('version: "2.0"', 'version: "2.0"\nextra: 1', 2, "extra"),
        ("cpu: {units: 1}", "cpu: {units: 1, attributes: {size: 1}}", 14, CPU_ATTRIBUTE),
        (
            "p:\n      pricing",
            "p:\n      attributes: {tier: [a]}\n      pricing",
            19,
            "profiles.placement.p.attributes.tier",
        ),
    ],
)
def test_an_error_names_line_and_field(old: str, new: str, line: int, field: str) -> None:
    if "{p: 3" in new:
        text = changed(("web:\n    p: {profile: web, count: 1}", "web:\n    p: 3"))
    else:
        text = changed((old, new))
    assert (line, field) in problems(text)


def test_all_errors_come_at_once() -> None:
    text = changed(("port: 80", "port: 0"), ("512Mi", "1"), ("amount: 1}", "amount: -1}"))
    assert [line for line, _ in problems(text)] == [6, 15, 20]


def test_what_parts_say_of_each_other_comes_at_once_too() -> None:
    text = changed(
        ("- global: true", "- service: ghost"), ("p: {profile: web", "q: {profile: webb")
    )
    assert {field for _, field in problems(text)} >= {
        "services.web.expose[0].to[0].service",
        "deployment.web.q",
        "deployment.web.q.profile",
    }


@pytest.mark.parametrize(
    "source",
    [
        "",
        "- a",
        "a: b: c",
        "\t",
        "a: &x [*x]",
        b"\xff\xfe\x00",
        "\x00",
        "[" * 5000,
        "x: " + "a" * (1 << 20),
    ],
)
def test_what_is_no_document_is_refused(source: str | bytes) -> None:
    with pytest.raises(SdlError):
        parse(source)


def test_a_billion_laughs_are_not_heard() -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(SdlError, match="expand"):
        parse("\n".join(lines))


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("2.0", "2.0"),
        ('"2"', "2.0"),
        ("v2.0.0", "2.0"),
        ("2.0.0+build", "2.0"),
        ("02.00", "2.0"),
        ("2.1", "2.1"),
        ('"2.1.7"', "2.1"),
        ("2.1.1-rc1", "2.1"),
        ("2.2", "2.1"),
        ("3.0", "2.1"),
    ],
)
def test_versions_are_read_tolerantly(written: str, version: str) -> None:
    assert parse(changed(('"2.0"', written))).version == Version(version)


@pytest.mark.parametrize(
    ("written", "millis"),
    [("0.5", 500), ("500m", 500), ('"1.5"', 1500), ("1e-1", 100), ("1.005", 1004), (".01", 10)],
)
def test_cpu_goes_through_doubles(written: str, millis: int) -> None:
    assert parse(changed(("units: 1", f"units: {written}"))).compute["web"].cpu == millis


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("536870912", 1 << 29),
        ("1.5Gi", 3 << 29),
        ("10G", 10**10),
        ("1e9", 10**9),
        ("6000k", 6_000_000),
        ("0.0001Ti", 109951162),
    ],
)
def test_sizes_are_cut_to_bytes(written: str, size: int) -> None:
    assert parse(changed(("storage: {size: 512Mi}", f"storage: {{size: {written}}}"))).compute[
        "web"
    ].storage == (Volume(size=size),)


@pytest.mark.parametrize(
    ("written", "models"),
    [
        ("null", ()),
        ("[]", ()),
        ("[{model: a100}]", (GpuModel(model="a100"),)),
        (
            "[{model: h100, ram: 81920Mi, interface: sxm}]",
            (GpuModel(model="h100", ram=80, interface="sxm"),),
        ),
        ('[{model: "*"}]', (GpuModel(model="*"),)),
    ],
)
def test_gpus_are_read(written: str, models: tuple[GpuModel, ...]) -> None:
    gpu = parse(changed(("storage: {size: 512Mi}", ONE_GPU % written))).compute["web"].gpu
    assert gpu is not None
    assert gpu.models == models


@pytest.mark.parametrize(
    "gpu",
    [
        ONE_GPU % "[{model: a100, ram: 80}]",
        ONE_GPU % "[{model: a100, ram: 80G}]",
        ONE_GPU % "[{model: a100}, {model: a100}]",
        ONE_GPU % '[{model: "*", ram: 80Gi}]',
        GPU + "{units: 25, attributes: {vendor: {nvidia: }}}",
        GPU + "{units: 1.0, attributes: {vendor: {nvidia: }}}",
        GPU + "{units: 0, attributes: {vendor: {nvidia: }}}",
        GPU + "{units: 1, attributes: {vendor: {}}}",
        GPU + "{units: 1, attributes: {}}",
    ],
)
def test_gpus_that_match_nothing_are_refused(gpu: str) -> None:
    assert all("gpu" in field for _, field in problems(changed(("storage: {size: 512Mi}", gpu))))


def test_scalars_in_texts_stay_as_they_are_written() -> None:
    text = changed(
        ("image: nginx:1.27.3", "image: a\n    args: [1e3, no, ~, 0x10, 2024-01-01, '']")
    )
    assert parse(text).services["web"].args == ("1e3", "no", "0x10", "2024-01-01", "")


def test_anchors_and_merges_are_followed() -> None:
    text = changed(
        ("cpu: {units: 1}", "cpu: &cpu {units: 1}"),
        (
            "  placement:",
            "    other:\n      resources:\n        cpu: {<<: *cpu, units: 2}\n"
            "        memory: {size: 1Gi}\n        storage: {size: 1Gi}\n  placement:",
        ),
    )
    assert parse(text).compute["other"].cpu == 2000


@pytest.mark.parametrize(
    ("written", "persistent", "storage_class"),
    [
        ("{persistent: true}", True, "default"),
        ("{persistent: yes}", True, None),
        ("{persistent: true, class: beta3}", True, "beta3"),
        ("{persistent: false}", False, None),
        ("{}", False, None),
        ("{class: ram}", False, "ram"),
    ],
)
def test_volume_attributes_are_the_references(
    written: str, persistent: bool, storage_class: str | None
) -> None:
    text = changed(
        ("image: nginx:1.27.3", "image: a\n    params: {storage: {data: {mount: /data}}}"),
        (
            "storage: {size: 512Mi}",
            f"storage: [{{name: data, size: 1Gi, attributes: {written}}}]",
        ),
    )
    assert parse(text).compute["web"].storage == (
        Volume(name="data", size=1 << 30, persistent=persistent, storage_class=storage_class),
    )


@pytest.mark.parametrize(("written", "seconds"), [("24h", 86400), ("1h30m", 5400), ("0.5h", 1800)])
def test_reclamation_is_a_duration(written: str, seconds: int) -> None:
    sdl = parse(BASE + f"reclamation: {{min_window: {written}}}\n")
    assert sdl.reclamation == seconds * 10**9


def test_a_password_is_not_shown() -> None:
    text = changed(
        (
            "image: nginx:1.27.3",
            "image: a\n    credentials: {host: h, username: u, password: hunter22}",
        )
    )
    assert "hunter22" not in repr(parse(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: an SDL is a mapping"),
        ("- a\n- b\n", "1:1: an SDL is a mapping"),
        ("version: '2.0'\n\tservices: {}\n", "2:1: not YAML: found character"),
        ("version: '2.0'\nversion: '2.1'\n", "2:1: 'version' stands here twice"),
        (
            changed(("count: 1", "count: 99999999999999999999")),
            "23:30: deployment.web.p.count: must be",
        ),
        (changed(("units: 1", "units: 1e400")), "14:22: profiles.compute.web.resources.cpu.units"),
        (changed(("nginx:1.27.3", "🐳:é")), None),
        (changed(("web:\n    image", "wéb:\n    image")), "3:3: services.wéb: a service name is"),
        ("version: '2.0'\n", "1:1: services: missing"),
        ("version: '2.0'\nservices: {a: }\n", "profiles: missing"),
        (changed(("profile: web", "profile: ghost")), "profiles.compute has no 'ghost'"),
        (changed(("cpu: {units: 1}", "cpu: *ghost")), "14:14: not YAML: found undefined alias"),
    ],
)
def test_a_malformed_file_names_line_and_field(text: str, said: str | None) -> None:
    if said is None:
        assert parse(text)
        return
    with pytest.raises(SdlError) as raised:
        parse(text)
    assert any(said in str(each) for each in raised.value.problems), str(raised.value)


def test_an_empty_item_of_a_list_is_none() -> None:
    """The reference's YAML library drops it; an empty text in quotes stays."""
    text = changed(("    image: nginx:1.27.3\n", '    image: a\n    args: [x, ~, "", null]\n'))
    assert parse(text).services["web"].args == ("x", "")
