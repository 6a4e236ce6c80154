"""One relay for a module's tests; its workload is a listener that the tests accept on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sentinel.relay.relay_process import RelayProcess


@pytest.fixture
def relay(shared_relay: RelayProcess) -> Iterator[RelayProcess]:
    yield shared_relay
    shared_relay.hang_up()


@pytest.fixture(scope="module")
def shared_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    with RelayProcess(tmp_path_factory.mktemp("relay")) as started:
        yield started
