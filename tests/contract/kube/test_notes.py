"""Events about objects."""

from __future__ import annotations

from garrison.api.meta import EVENT, Key, key_of
from garrison.ports.kube import Kube, Note, Object
from tests.contract.kube.berth import BERTH, HARBOUR, berth


def _note(about: Object, message: str = "one berth is left; build another") -> Note:
    return Note(
        about=key_of(about),
        uid=about["metadata"]["uid"],
        type="Warning",
        reason="NearlyFull",
        message=message,
    )


async def test_a_note_is_an_event_about_its_object(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    await kube.note(_note(created))
    (event,) = await kube.list(EVENT, namespace=namespace)
    assert (event["type"], event["reason"]) == ("Warning", "NearlyFull")
    assert event["note"] == "one berth is left; build another"
    regarding = event["regarding"]
    assert (regarding["kind"], regarding["name"]) == ("Berth", "one")
    assert (regarding["namespace"], regarding["uid"]) == (namespace, created["metadata"]["uid"])


async def test_equal_notes_are_counted(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    for _ in range(3):
        await kube.note(_note(created))
    (event,) = await kube.list(EVENT, namespace=namespace)
    assert event["series"]["count"] == 3


async def test_different_notes_are_kept_apart(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    await kube.note(_note(created))
    await kube.note(_note(created, "no berth is left; build another"))
    assert len(await kube.list(EVENT, namespace=namespace)) == 2


async def test_a_note_about_a_cluster_scoped_object_is_in_default(
    kube: Kube, namespace: str
) -> None:
    created = await kube.create(HARBOUR, berth(f"harbour-{namespace}", "", kind=HARBOUR))
    await kube.note(_note(created))
    events = await kube.list(EVENT, namespace="default")
    assert created["metadata"]["uid"] in {each["regarding"].get("uid") for each in events}


async def test_a_counted_event_that_vanished_is_posted_anew(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    await kube.note(_note(created))
    (event,) = await kube.list(EVENT, namespace=namespace)
    await kube.delete(EVENT, namespace, event["metadata"]["name"])
    await kube.note(_note(created))
    assert len(await kube.list(EVENT, namespace=namespace)) == 1


async def test_a_note_that_cannot_be_posted_is_no_error(kube: Kube) -> None:
    about = Key(kind="Berth", namespace="no-such-namespace", name="one")
    note = Note(about=about, uid="u", type="Normal", reason="Lost", message="nobody reads this")
    await kube.note(note)


async def test_a_long_note_is_cut_to_what_the_server_takes(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    await kube.note(_note(created, "ü" * 1024))
    (event,) = await kube.list(EVENT, namespace=namespace)
    assert event["note"] == "ü" * 512
