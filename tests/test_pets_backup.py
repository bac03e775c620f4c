"""The lost-pet service's folder as one file, made while it is served, checked before it is put back; and serving it."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import urllib.request
from pathlib import Path

import pytest
from pets_client import WHITE, pets
from toy_engine import photo_of

from auxreid.lostpets.base.write_lock import write_lock
from auxreid.lostpets.service import backup as archives
from auxreid.lostpets.service.backup import backup, restore
from auxreid.lostpets.service.serve import alone_in, bound
from auxreid.plumbing.base.errors import ConfigError, DataError

TOY = Path(__file__).with_name("toy_engine.py")


@pytest.fixture
def made(tmp_path):
    """A backup, made while the service runs, and what was posted before."""
    with pets(tmp_path / "pets") as service:
        posted = service.post(WHITE[0], contact="one@example.org")
        service.save(WHITE[1])
        said = {"text": "hello", "reply_to": "two@example.org"}
        service.ask("POST", f"/api/reports/{posted['report']}/message", said=said)
        count = backup(tmp_path / "pets", tmp_path / "pets.tar")
        later = service.post(WHITE[2])
    assert count > 3
    return tmp_path / "pets.tar", posted, later


def test_what_was_there_comes_back_and_what_came_later_does_not(tmp_path, made):
    file, posted, later = made
    assert file.stat().st_mode & 0o077 == 0
    assert restore(file, tmp_path / "again") > 3
    assert (tmp_path / "again").stat().st_mode & 0o077 == 0
    with pets(tmp_path / "again") as service:  # whose base is not in the backup: the reports' rows are made anew
        assert service.ask("GET", f"/api/reports/{posted['report']}").json()["state"] == "open"
        assert service.ask("GET", f"/api/reports/{later['report']}").status_code == 404
        assert f"report-{posted['report']}" in service.found(WHITE[1])
        assert service.ask("DELETE", f"/api/reports/{posted['report']}", posted["token"]).status_code == 204
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_has_something_is_not_replaced(tmp_path, made):
    file, _, _ = made
    with pytest.raises(ConfigError, match="is there already"):
        restore(file, tmp_path / "pets")
    (tmp_path / "empty").mkdir()
    restore(file, tmp_path / "empty")
    with pytest.raises(ConfigError, match="within the folder"):
        backup(tmp_path / "pets", tmp_path / "pets/photos/a.tar")
    (tmp_path / "empty2").mkdir()
    with pytest.raises(ConfigError, match="has nothing in it"):
        backup(tmp_path / "empty2", tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()
    with pytest.raises(ConfigError, match="no such folder"):
        backup(tmp_path / "none", tmp_path / "a.tar")


def test_what_a_service_that_could_not_start_leaves_is_nothing(tmp_path, made):
    """So that after a lost disk a try to serve does not bar the way to the backup."""
    home = tmp_path / "new"
    with alone_in(home):
        assert home.stat().st_mode & 0o077 == 0
        with pytest.raises(ConfigError, match="is served by another process"):
            restore(made[0], home)
    assert restore(made[0], home) > 3 and (home / "service.db").is_file()


def test_a_home_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match=r"--home .*file: cannot be made a folder \(File exists\)"),
        alone_in(tmp_path / "file"),
    ):
        pass


def rewritten(file: Path, change) -> None:
    """The archive with its members changed: `change` gets a dict of contents by name."""
    with tarfile.open(file) as archive:
        contents = {member.name: archive.extractfile(member).read() for member in archive}
    contents = change(contents) or contents
    with tarfile.open(file, "w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def listed(contents: dict, **more: bytes) -> dict:
    """With more files, which the manifest knows of."""
    manifest = json.loads(contents.pop("manifest.json"))
    for name, content in more.items():
        contents[name] = content
        manifest["files"][name] = [len(content), archives.hashlib.sha256(content).hexdigest()]
    return contents | {"manifest.json": json.dumps(manifest).encode()}


CHANGES = {
    "is missing or changed": lambda found: found.update({"service.db": found["service.db"] + b"x"}),
    "not a backup, or not whole": lambda found: found.pop("manifest.json") and None,
    "'../evil' is in it": lambda found: {"../evil": b"x"} | found,
    "'/etc/evil' is in it": lambda found: {"/etc/evil": b"x"} | found,
    "'photos/../../evil' is in it": lambda found: {"photos/../../evil": b"x"} | found,
    "'other/evil' is in it": lambda found: {"other/evil": b"x"} | found,
    "'photos/late' is in it": lambda found: found | {"photos/late": b"x"},
    "its service.db is damaged": lambda found: listed(found, **{"service.db": b"SQLite format 3\0" + b"x" * 9000}),
}


@pytest.mark.parametrize("reason", CHANGES)
def test_a_changed_archive_is_refused_and_leaves_nothing(tmp_path, made, reason):
    file = made[0]
    rewritten(file, CHANGES[reason])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=reason):
        restore(file, tmp_path / "again")
    assert sorted(tmp_path.iterdir()) == before


def test_a_cut_archive_and_a_link_in_it_are_refused(tmp_path, made):
    file = made[0]
    content = file.read_bytes()
    for part in (content[: len(content) // 2], b"", b"no archive at all" * 100):
        file.write_bytes(part)
        with pytest.raises(DataError, match=r"nothing was restored|cannot be read"):
            restore(file, tmp_path / "again")
    with tarfile.open(file, "w") as archive:
        member = tarfile.TarInfo("photos/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataError, match="'photos/link' is in it"):
        restore(file, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    with pytest.raises(DataError, match="No such file"):
        restore(tmp_path / "none.tar", tmp_path / "again")


def test_a_backup_made_amid_writing_is_whole(tmp_path):
    home, files = tmp_path / "pets", []
    with pets(home) as service:
        ended = threading.Event()

        def posting() -> None:
            for view in range(12):
                posted = service.post(photo_of("white", 20 + view))
                service.ask("DELETE", f"/api/reports/{posted['report']}", posted["token"])
            ended.set()

        thread = threading.Thread(target=posting)
        thread.start()
        while not ended.is_set():
            files.append(tmp_path / f"{len(files)}.tar")
            backup(home, files[-1])
        thread.join()
    assert files
    for number, file in enumerate(files[:5]):
        restore(file, tmp_path / f"again{number}")
        with pets(tmp_path / f"again{number}") as service:
            store = service.service.store
            rows = store.rows("select x.photo from report_photos x join reports r on r.id = x.report")
            assert {row["photo"] for row in rows} <= set(service.service.photos.names())


def test_who_writes_to_the_base_alone_is_waited_for(tmp_path, monkeypatch):
    home = tmp_path / "pets"
    (home / "base").mkdir(parents=True)
    (home / "base/part").write_bytes(b"x")
    monkeypatch.setattr(archives, "write_lock", lambda path: write_lock(path, wait=0.1))
    with write_lock(home / "base/.lock"), pytest.raises(DataError, match="is being written"):
        backup(home, tmp_path / "a.tar")
    assert backup(home, tmp_path / "a.tar") == 1


def test_a_port_that_is_taken_and_a_folder_that_is_served_are_one_line(tmp_path):
    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(ConfigError, match=f"--port {port}: cannot be opened on 127.0.0.1 .*; name another one"):
            bound("127.0.0.1", port)
    with pytest.raises(ConfigError, match=r"cannot be opened on 203\.0\.113\.1"):
        bound("203.0.113.1", 0)
    with alone_in(tmp_path), pytest.raises(ConfigError, match="is served by another process"), alone_in(tmp_path):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service_answers_over_a_socket_and_ends_when_told_to(tmp_path, number):
    command = [sys.executable, str(TOY), "--home", str(tmp_path), "--port", "0"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **streams) as process:
        try:
            line = process.stdout.readline()
            address = line.split()[3]
            assert line.startswith("find my dog: http://127.0.0.1:")
            with urllib.request.urlopen(address + "healthz") as answer:
                assert json.load(answer) == {"status": "ok"}
                assert answer.headers["Content-Security-Policy"] and "Server" not in answer.headers
            port = int(address.split(":")[2].strip("/"))
            with socket.create_connection(("127.0.0.1", port)) as idle:  # a client that says nothing ends too
                process.send_signal(number)
                said = process.communicate(timeout=60)
                assert idle
        finally:
            process.kill()
    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in said[1] and "GET /healthz 200" in said[1] and "127.0.0.1" not in said[1]
