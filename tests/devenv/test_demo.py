"""``make demo`` shows everything, leaves nothing, and can be interrupted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.devenv.commands import LIMIT_SECONDS, Home, control_groups

PROOF = "no AkashLease is left, and the market has no open lease"
PYTHON = (sys.executable, "-m", "devenv.demo")

pytestmark = pytest.mark.timeout(LIMIT_SECONDS + 40)


async def test_it_ends_with_the_proof_and_a_picture(home: Home, tmp_path: Path) -> None:
    picture = tmp_path / "demo.svg"
    ended = await home.run("make", "demo", f"SVG={picture}")
    assert ended.code == 0, ended.output
    assert PROOF in ended.output
    assert "measured and Ready" in ended.output
    assert picture.read_text().startswith("<svg")
    assert home.left() == []


async def test_ctrl_c_stops_everything_that_was_started(home: Home) -> None:
    demo = await home.start("make", "demo")
    await demo.says("Enrolling")
    market = home.market_folder()
    assert home.left() != []
    demo.interrupt()
    ended = await demo.ended()
    assert ended.code != 0, ended.output
    assert "interrupted; everything that was started has been stopped" in ended.output
    assert "Traceback" not in ended.output
    assert home.left() == []
    assert control_groups(market) == []


@pytest.mark.long
async def test_it_runs_on_the_light_api_server_and_says_so(home: Home) -> None:
    ended = await home.run(*PYTHON, "--runtime", "synthetic", CONTROL_PLANE="light")
    assert ended.code == 0, ended.output
    assert PROOF in ended.output
    assert "in memory, for an impatient first look" in ended.output
    assert home.left() == []


@pytest.mark.long
async def test_it_trades_on_the_chain_with_a_wallet(home: Home) -> None:
    ended = await home.run(*PYTHON, "--runtime", "synthetic", MARKET="chain")
    assert ended.code == 0, ended.output
    assert PROOF in ended.output
    assert home.left() == []


REFUSED = {
    "KUBECONFIG is missing": ({"GARRISON_USE_CLUSTER": "1"}, "needs KUBECONFIG"),
    "the file is missing": (
        {"GARRISON_USE_CLUSTER": "1", "KUBECONFIG": "/none"},
        "there is no such file",
    ),
    "the control plane is unknown": ({"CONTROL_PLANE": "heavy"}, "set it to light"),
    "both are wanted": (
        {"GARRISON_USE_CLUSTER": "1", "KUBECONFIG": "/none", "CONTROL_PLANE": "light"},
        "exclude each other",
    ),
}


@pytest.mark.parametrize(("env", "told"), REFUSED.values(), ids=REFUSED)
async def test_a_wrong_wish_names_the_remedy(home: Home, env: dict[str, str], told: str) -> None:
    ended = await home.run(*PYTHON, **env)
    assert ended.code == 1
    assert told in " ".join(ended.output.split())
    assert "Traceback" not in ended.output
    assert home.left() == []
