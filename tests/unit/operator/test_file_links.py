"""Links to files and folders, in all the ways in which people and programs switch them."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from fastforward_operator.providers import tree
from fastforward_operator.providers.watch import InotifyWatch, OpenWatch, PollingWatch

from support.eventually import eventually
from support.filewatching import text, watching


@pytest.fixture(params=[lambda _: InotifyWatch(), PollingWatch], ids=["inotify", "polling"])
def open_watch(request: pytest.FixtureRequest) -> OpenWatch:
    return request.param


def mount(folder: Path, version: str, files: Iterable[tuple[str, str]]) -> None:
    """What kubelet does to update a ConfigMap mount: a new folder, and a link to it switched by renaming."""
    data = folder / f"..{version}"
    data.mkdir(parents=True)
    for name, content in files:
        (data / name).write_text(content)
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for name, _ in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


async def test_a_mounted_config_map_is_followed_through_its_switches(tmp_path: Path, open_watch: OpenWatch) -> None:
    mount(tmp_path, "2026_1", [("a.yaml", text("a", "1")), ("b.yaml", text("b", "1"))])
    async with watching(tmp_path, by=open_watch) as found:
        assert found.believed == {"a": "1", "b": "1"}
        for version in ("2", "3", "4"):
            mount(tmp_path, f"2026_{version}", [("a.yaml", text("a", version)), ("b.yaml", text("b", "1"))])
            await eventually(lambda want=version: found.believed == {"a": want, "b": "1"})
        assert found.gone == []


async def test_a_link_to_a_file_elsewhere_is_followed_when_that_changes(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x.yaml").write_text(text("a"))
    (tmp_path / "here" / "a.yaml").symlink_to(tmp_path / "there" / "x.yaml")
    async with watching(tmp_path / "here", by=open_watch) as found:
        (tmp_path / "there" / "x.yaml").write_text(text("a", "2"))
        await eventually(lambda: found.believed == {"a": "2"})


def switch(link: Path, target: Path) -> None:
    """As `ln -sfn` does, and who releases a version."""
    beside = link.with_name(f".{link.name}.new")
    beside.symlink_to(target)
    beside.rename(link)


async def test_a_link_that_is_made_or_switched_is_followed_from_then_on(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "here").mkdir()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.yaml").write_text(text("a", name))
    async with watching(tmp_path / "here", by=open_watch) as found:
        for name in ("one", "two"):
            switch(tmp_path / "here" / "a.yaml", tmp_path / name / "x.yaml")
            await eventually(lambda want=name: found.believed == {"a": want})
            (tmp_path / name / "x.yaml").write_text(text("a", f"{name}, written"))
            await eventually(lambda want=name: found.believed == {"a": f"{want}, written"})
        assert found.gone == []


async def test_a_root_that_links_to_a_file_is_followed(tmp_path: Path, open_watch: OpenWatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.yaml").write_text(text("a", name))
    root = tmp_path / "a.yaml"
    root.symlink_to(tmp_path / "one" / "x.yaml")
    async with watching(root, by=open_watch) as found:
        (tmp_path / "one" / "x.yaml").write_text(text("a", "written"))
        await eventually(lambda: found.believed == {"a": "written"})
        switch(root, tmp_path / "two" / "x.yaml")
        await eventually(lambda: found.believed == {"a": "two"})
        (tmp_path / "two" / "x.yaml").write_text(text("a", "written again"))
        await eventually(lambda: found.believed == {"a": "written again"})
        assert found.gone == []


@pytest.mark.parametrize("is_root", [False, True])
async def test_a_linked_folder_is_followed_when_it_is_switched(
    tmp_path: Path, open_watch: OpenWatch, *, is_root: bool
) -> None:
    for version in ("v1", "v2", "v3"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(text("a", version))
    (tmp_path / "here").mkdir()
    link = tmp_path / "here" / "current"
    link.symlink_to(tmp_path / "v1")
    async with watching(link if is_root else tmp_path / "here", by=open_watch) as found:
        assert found.believed == {"a": "v1"}
        for version in ("v2", "v3"):
            switch(link, tmp_path / version)
            await eventually(lambda want=version: found.believed == {"a": want})
            (tmp_path / version / "a.yaml").write_text(text("a", f"{version}, written"))
            await eventually(lambda want=version: found.believed == {"a": f"{want}, written"})
        assert found.gone == []
        if not is_root:
            link.unlink()
            await eventually(lambda: found.believed == {})


async def test_a_link_that_a_link_leads_to_is_followed_when_it_is_switched(
    tmp_path: Path, open_watch: OpenWatch
) -> None:
    for version in ("v1", "v2", "v3"):
        (tmp_path / f"{version}.yaml").write_text(text("a", version))
    (tmp_path / "here").mkdir()
    current = tmp_path / "here" / "routes.current"
    current.symlink_to("../v1.yaml")
    (tmp_path / "here" / "routes.yaml").symlink_to(current.name)
    async with watching(tmp_path / "here", by=open_watch) as found:
        assert found.believed == {"a": "v1"}
        for version in ("v2", "v3"):
            switch(current, Path("..") / f"{version}.yaml")
            await eventually(lambda want=version: found.believed == {"a": want})
        assert found.gone == []


@pytest.mark.parametrize("root", ["here/current/conf", "conf", "conf/a.yaml"])
async def test_a_link_on_the_way_to_a_root_is_followed_when_it_is_switched(
    tmp_path: Path, open_watch: OpenWatch, root: str
) -> None:
    for version in ("v1", "v2", "v3"):
        (tmp_path / version / "conf").mkdir(parents=True)
        (tmp_path / version / "conf" / "a.yaml").write_text(text("a", version))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "current").symlink_to("../v1")
    (tmp_path / "conf").symlink_to("here/current/conf")
    async with watching(tmp_path / root, by=open_watch) as found:
        assert found.believed == {"a": "v1"}
        for version in ("v2", "v3"):
            switch(tmp_path / "here" / "current", Path("..") / version)
            await eventually(lambda want=version: found.believed == {"a": want})
        assert found.gone == []


async def test_a_link_to_itself_hides_nothing(tmp_path: Path, open_watch: OpenWatch) -> None:
    names = [f"a{number}" for number in range(20)]
    for name in names:
        (tmp_path / f"{name}.yaml").write_text(text(name))
        (tmp_path / f"{name}-loop.yaml").symlink_to(f"{name}-loop.yaml")
        (tmp_path / f"{name}-loop").symlink_to(f"{name}-loop")
    async with watching(tmp_path, by=open_watch) as found:
        assert set(found.believed) == set(names)
        assert found.batches[0].documents == {}
        (tmp_path / "a1.yaml").write_text(text("a1", "2"))
        await eventually(lambda: found.believed["a1"] == "2")
        (tmp_path / "a2.yaml").unlink()
        await eventually(lambda: found.gone == ["a2"])


async def test_a_file_that_goes_while_its_folder_is_listed_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.yaml").write_text(text(name))

    with os.scandir(tmp_path) as entries:
        first, second, third = (Path(entry) for entry in entries)

    def sign(_: os.stat_result) -> bytes:
        # After the listing, before the others are looked at.
        second.unlink(missing_ok=True)
        return b""

    monkeypatch.setattr(tree, "_signature", sign)
    found = tree.list_tree([tmp_path])
    assert (set(found.files), found.closed) == ({str(first), str(third)}, {})


async def test_folders_that_link_to_each_other_end(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "a.yaml").write_text(text("a"))
    async with watching(tmp_path, by=open_watch) as found:
        assert set(found.believed) == {"a"}
