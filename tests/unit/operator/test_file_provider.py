"""Real files, edited in all the ways in which people and programs edit them."""

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import fastforward_crds as crds
import pytest
from fastforward_operator.providers import Source, file, watch
from fastforward_operator.providers.file import MAX_FILE_BYTES
from fastforward_operator.providers.tree import Tree, list_tree
from fastforward_operator.providers.watch import InotifyWatch, OpenWatch, PollingWatch

from support.closed import close_folder
from support.eventually import eventually
from support.filewatching import Watching, ref, text, watching


@pytest.fixture(params=[lambda _: InotifyWatch(), PollingWatch], ids=["inotify", "polling"])
def open_watch(request: pytest.FixtureRequest) -> OpenWatch:
    return request.param


async def test_the_first_batch_is_everything_there_is(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.yaml").write_text(text("a") + "---\n" + text("b"))
    (tmp_path / "deep" / "er" / "c.yml").write_text(text("c"))
    (tmp_path / "d.json").write_text('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"},"data":{"v":"1"}}')
    for ignored in (
        ".hidden.yaml",
        "e.yaml~",
        "#f.yaml#",
        "g.txt",
        "~h.yaml",
        ".i.yaml.swp",
        "kustomization.yaml",
        "j.kubernetes.yaml",
    ):
        (tmp_path / ignored).write_text(text("no"))
    async with watching(tmp_path, by=open_watch) as found:
        assert set(found.batches[0].changes) == {ref(name) for name in "abcd"}
        assert str(found.batches[0].sources[ref("b")]) == f"{tmp_path}/a.yaml:6"


async def test_several_roots_are_read_and_a_file_may_be_one(tmp_path: Path, open_watch: OpenWatch) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one" / "a.yaml").write_text(text("a"))
    (tmp_path / "two" / "b.yaml").write_text(text("b"))
    (tmp_path / "two" / "c.yaml").write_text(text("c"))
    async with watching(tmp_path / "one", tmp_path / "two" / "b.yaml", by=open_watch) as found:
        assert set(found.believed) == {"a", "b"}
        # Neighbours of a file are not read, also when something happens to them.
        (tmp_path / "two" / "c.yaml").write_text(text("c", "2"))
        (tmp_path / "two" / "d.yaml").write_text(text("d"))
        (tmp_path / "two" / "b.yaml").write_text(text("b", "2"))
        await eventually(lambda: found.believed == {"a": "1", "b": "2"})
        assert {object_ref.name for batch in found.batches for object_ref in batch.changes} == {"a", "b"}
        (tmp_path / "two" / ".b").write_text(text("b", "3"))
        (tmp_path / "two" / ".b").rename(tmp_path / "two" / "b.yaml")
        await eventually(lambda: found.believed == {"a": "1", "b": "3"})


async def test_a_file_renamed_into_place_is_seen(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))
    async with watching(tmp_path, by=open_watch) as found:
        (tmp_path / ".new").write_text(text("a", "2"))
        (tmp_path / ".new").rename(tmp_path / "a.yaml")
        await eventually(lambda: found.believed == {"a": "2"})
        assert found.gone == []


async def test_a_file_written_in_place_is_read_when_it_is_closed(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))
    async with watching(tmp_path, by=open_watch) as found:
        with (tmp_path / "a.yaml").open("w") as file:
            for character in text("a", "2"):
                file.write(character)
                file.flush()
                await asyncio.sleep(0)
        await eventually(lambda: found.believed == {"a": "2"})
        assert found.gone == []
        assert found.invalid == {}


@pytest.mark.parametrize("is_linked", [False, True])
async def test_a_file_that_is_being_written_is_left_alone_whatever_happens_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_linked: bool
) -> None:
    monkeypatch.setattr(watch, "WRITTEN_AFTER_S", 3600.0)
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "a.yaml"
    if is_linked:
        (tmp_path / "there").mkdir()
        path.symlink_to(tmp_path / "there" / "x.yaml")
    path.write_text(text("a"))
    async with watching(tmp_path / "here", by=lambda _: InotifyWatch()) as found:
        with path.open("w") as file:
            (tmp_path / "here" / "new").mkdir()
            (tmp_path / "here" / "new" / "b.yaml").write_text(text("b"))
            await eventually(lambda: "b" in found.believed)
            assert found.gone == []
            file.write(text("a", "2"))
        await eventually(lambda: found.believed == {"a": "2", "b": "1"})
        assert found.gone == []


async def test_a_file_that_is_begun_while_everything_is_looked_at_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WRITTEN_AFTER_S", 3600.0)
    (tmp_path / "a.yaml").write_text(text("a"))
    async with watching(tmp_path, by=lambda _: InotifyWatch()) as found:
        with contextlib.ExitStack() as writing:
            begun: list[TextIO] = []

            def begin_and_list(roots: Iterable[Path]) -> Tree:
                if not begun:
                    begun.append(writing.enter_context((tmp_path / "a.yaml").open("w")))
                return list_tree(roots)

            monkeypatch.setattr(file, "list_tree", begin_and_list)
            (tmp_path / "new").mkdir()
            (tmp_path / "new" / "b.yaml").write_text(text("b"))
            await eventually(lambda: "b" in found.believed)
            begun[0].write(text("a", "2"))
        await eventually(lambda: found.believed == {"a": "2", "b": "1"})
        assert found.gone == []


@pytest.mark.parametrize("is_whole", [False, True])
async def test_a_file_that_is_written_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_whole: bool
) -> None:
    monkeypatch.setattr(watch, "WRITTEN_AFTER_S", 3600.0)
    path, read = tmp_path / "a.yaml", file._read
    path.write_text(text("a"))
    async with watching(tmp_path, by=lambda _: InotifyWatch()) as found:
        with contextlib.ExitStack() as writing:
            begun: list[TextIO] = []

            def begin_and_read(name: str) -> object:
                if begun or name != str(path):
                    return read(name)
                begun.append(writing.enter_context(path.open("w")))
                torn = read(name)
                if is_whole:
                    begun[0].write(text("a", "3"))
                    begun[0].close()
                return torn

            monkeypatch.setattr(file, "_read", begin_and_read)
            path.write_text(text("a", "2"))
            await eventually(lambda: begun)
            (tmp_path / "b.yaml").write_text(text("b"))
            await eventually(lambda: "b" in found.believed)
            if not is_whole:
                begun[0].write(text("a", "3"))
        await eventually(lambda: found.believed == {"a": "3", "b": "1"})
        assert found.gone == []


async def test_a_file_that_is_empty_for_a_moment_keeps_its_objects(
    tmp_path: Path, open_watch: OpenWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "a.yaml", file._read
    path.write_text(text("a"))
    async with watching(tmp_path, by=open_watch) as found:
        seen = [b""]
        monkeypatch.setattr(file, "_read", lambda name: seen.pop() if seen else read(name))
        path.write_text(text("a", "2"))
        await eventually(lambda: found.believed == {"a": "2"})
        assert found.gone == []
        path.write_text("")
        await eventually(lambda: found.believed == {})


async def test_a_file_that_is_kept_open_is_read_a_while_after_the_last_write(
    tmp_path: Path, open_watch: OpenWatch
) -> None:
    async with watching(tmp_path, by=open_watch) as found:
        with (tmp_path / "a.yaml").open("w") as file:
            file.write(text("a"))
            file.flush()
            await eventually(lambda: found.believed == {"a": "1"})


async def test_saving_as_vim_does_never_looks_like_a_deletion(tmp_path: Path, open_watch: OpenWatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text("a", "0"))
    async with watching(tmp_path, by=open_watch) as found:
        for number in range(1, 20):
            path.rename(tmp_path / "a.yaml~")
            await asyncio.sleep(0)
            path.write_text(text("a", str(number)))
            (tmp_path / "a.yaml~").unlink()
            await eventually(lambda want=str(number): found.believed == {"a": want})
        assert found.gone == []


async def test_a_deleted_file_takes_its_objects_along(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))
    (tmp_path / "b.yaml").write_text(text("b"))
    async with watching(tmp_path, by=open_watch) as found:
        (tmp_path / "a.yaml").unlink()
        await eventually(lambda: found.believed == {"b": "1"})


async def test_a_file_that_is_renamed_changes_no_object(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))
    async with watching(tmp_path, by=open_watch) as found:
        (tmp_path / "a.yaml").rename(tmp_path / "z.yaml")
        moved = Source(path=str(tmp_path / "z.yaml"), line=1)
        await eventually(lambda: moved in [batch.sources.get(ref("a")) for batch in found.batches])
        assert found.gone == []


async def test_folders_that_come_and_go_are_followed(tmp_path: Path, open_watch: OpenWatch) -> None:
    async with watching(tmp_path, by=open_watch) as found:
        for number in range(5):
            folder = tmp_path / f"f{number}" / "inner"
            folder.mkdir(parents=True)
            (folder / "a.yaml").write_text(text(f"a{number}"))
        await eventually(lambda: len(found.believed) == 5)
        (tmp_path / "f0" / "inner" / "a.yaml").write_text(text("a0", "2"))
        await eventually(lambda: found.believed["a0"] == "2")
        (tmp_path / "f1").rename(tmp_path / "g1")
        (tmp_path / "f2" / "inner" / "a.yaml").unlink()
        (tmp_path / "f2" / "inner").rmdir()
        await eventually(lambda: "a2" not in found.believed)
        (tmp_path / "g1" / "inner" / "a.yaml").write_text(text("a1", "2"))
        await eventually(lambda: found.believed.get("a1") == "2")


async def test_a_directory_that_vanishes_as_a_whole_keeps_its_objects_and_is_found_again(
    tmp_path: Path, open_watch: OpenWatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(text("a"))
    async with watching(root, by=open_watch) as found:
        root.rename(tmp_path / "away")
        root.mkdir()
        (root / "a.yaml").write_text(text("a", "2"))
        await eventually(lambda: found.believed == {"a": "2"})
        assert found.gone == []


async def test_a_file_that_is_too_large_is_refused_and_its_objects_stay(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))
    async with watching(tmp_path, by=open_watch) as found:
        (tmp_path / "a.yaml").write_text(text("a", "2") + "#" * MAX_FILE_BYTES)
        await eventually(lambda: "larger than 1.5 MiB" in found.invalid.get("a", ""))
        assert found.believed == {"a": "1"}


async def test_a_thousand_files_written_at_once_are_all_seen(tmp_path: Path, open_watch: OpenWatch) -> None:
    async with watching(tmp_path, by=open_watch) as found:
        for number in range(1000):
            (tmp_path / f"{number}.yaml").write_text(text(f"n{number}"))
        await eventually(lambda: len(found.believed) == 1000, seconds=60)


async def test_what_was_good_before_a_restart_comes_with_what_is_bad_now(tmp_path: Path, open_watch: OpenWatch) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(text("a") + "---\n" + text("b", "2") + "---\n" + text("c", "3"))
    async with watching(root, state=tmp_path / "state", by=open_watch):
        pass
    (root / "a.yaml").write_text(text("a", "9") + "---\n" + text("b").replace("data: ", "data: [") + "---\n{[nothing")
    async with watching(root, state=tmp_path / "state", by=open_watch) as found:
        assert found.believed == {"a": "9", "b": "2", "c": "3"}
        assert set(found.invalid) == {"b", "c"}
        assert set(found.batches[0].last_good) == {ref("b"), ref("c")}


async def test_generations_go_on_over_a_restart(tmp_path: Path, open_watch: OpenWatch) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for version in ("1", "2", "2", "3"):
        (root / "a.yaml").write_text(text("a", version))
        async with watching(root, state=tmp_path / "state", by=open_watch) as found:
            last = found.batches[0].changes[ref("a")]
    assert isinstance(last, crds.ConfigMap)
    assert last.metadata.generation == 3


async def test_what_was_deleted_meanwhile_is_not_remembered(tmp_path: Path, open_watch: OpenWatch) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(text("a"))
    async with watching(root, state=tmp_path / "state", by=open_watch):
        pass
    (root / "a.yaml").unlink()
    async with watching(root, state=tmp_path / "state", by=open_watch) as found:
        assert found.believed == {}
    (root / "a.yaml").write_text("{[nothing")
    async with watching(root, state=tmp_path / "state", by=open_watch) as found:
        assert found.believed == {}


async def test_a_broken_memory_is_made_anew(tmp_path: Path, open_watch: OpenWatch) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(text("a"))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "last-good.sqlite").write_bytes(b"not a database" * 100)
    async with watching(root, state=tmp_path / "state", by=open_watch) as found:
        assert found.believed == {"a": "1"}
    async with watching(root, state=tmp_path / "state", by=open_watch):
        pass


async def test_the_memory_is_readable_by_its_owner_only(tmp_path: Path, open_watch: OpenWatch) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))
    state = tmp_path / "state"
    async with watching(tmp_path, state=state, by=open_watch):
        pass
    assert (state / "last-good.sqlite").stat().st_mode & 0o077 == 0
    assert state.stat().st_mode & 0o077 == 0


async def test_a_file_that_becomes_a_pipe_is_gone_and_does_not_hang_the_reader(
    tmp_path: Path, open_watch: OpenWatch
) -> None:
    (tmp_path / "a.yaml").write_text(text("a"))
    async with watching(tmp_path, by=open_watch) as found:
        (tmp_path / "a.yaml").unlink()
        os.mkfifo(tmp_path / "a.yaml")
        await eventually(lambda: found.believed == {})
        (tmp_path / "a.yaml").unlink()
        (tmp_path / "a.yaml").write_text(text("a", "2"))
        await eventually(lambda: found.believed == {"a": "2"})


async def test_a_folder_that_cannot_be_read_any_more_loses_nothing_and_is_told_of(
    tmp_path: Path, open_watch: OpenWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in" / "a.yaml").write_text(text("a"))
    (root / "b.yaml").write_text(text("b"))

    def told(found: Watching) -> list[str]:
        return [one.message for batch in found.batches for each in batch.documents.values() for one in each]

    async with watching(root, state=tmp_path / "state", by=open_watch) as found:
        with monkeypatch.context() as closed:
            close_folder(closed, root / "in")
            (root / "new").mkdir()
            await eventually(lambda: told(found) == ["The folder can't be read: Permission denied."])
            (root / "b.yaml").write_text(text("b", "2"))
            await eventually(lambda: found.believed == {"a": "1", "b": "2"})
            assert found.gone == []
    with monkeypatch.context() as closed:
        close_folder(closed, root / "in")
        async with watching(root, state=tmp_path / "state", by=open_watch) as found:
            assert found.believed == {"a": "1", "b": "2"}
            closed.undo()
            (root / "in" / "a.yaml").write_text(text("a", "3"))
            (root / "newer").mkdir()
            await eventually(lambda: found.believed == {"a": "3", "b": "2"})
            await eventually(lambda: any(() in batch.documents.values() for batch in found.batches))
            assert found.gone == []
