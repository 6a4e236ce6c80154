"""What docs/looking-inside.md says of the chart: its own roles give nobody a right to Secrets."""

from __future__ import annotations

import re

from devenv.checkout import ROOT

AGGREGATE = (ROOT / "charts" / "garrison" / "templates" / "aggregate.yaml").read_text()


def test_the_roles_for_people_are_about_our_own_kinds_only() -> None:
    groups = re.findall(r"apiGroups: \[(.*)\]", AGGREGATE)
    assert groups
    assert set(groups) == {"garrison.dev"}
    assert "secrets" not in re.findall(r"[\w/]+", AGGREGATE)
