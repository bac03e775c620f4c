"""Settings of all tests: no live tracking unless a test asks for it, and no deadlines, since machines are shared.

Beside them the repositories that the tracking tests publish from."""

import os
import shutil
import signal

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("AUXREID_LIVE", "off")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # what a shell starts in the background would pass that on
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import HealthCheck, settings
from tracking_workspace import Workspace, forked
from warm_python import warm_python

settings.register_profile("auxreid", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("auxreid")

# Files go to two workers: what takes longest comes first, so that none is left with it at the end; the first two share
# nothing that one of them would wait for.
LONGEST = ("fanout_cluster", "pipeline", "kills", "experiments", "parallel_stages", "sharing", "own_sets", "dvc_views")
FIRST = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.get(item.path.name, len(FIRST)))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """MLflow's tables take seconds to make, so that each test gets a copy. Two processes make the file at once."""
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 (once here, and not in every process that is started)

    from auxreid.plumbing.mirror.store import create_database

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    processes = [forked(create_database, path) for _ in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    return path


@pytest.fixture
def work(tmp_path, empty_database, monkeypatch):
    """A repository with an MLflow store of its own, both empty."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Workspace(tmp_path, empty_database)


@pytest.fixture
def clone(work, empty_database, tmp_path_factory):
    """Makes copies of the repository whose MLflow is empty."""

    def make():
        root = tmp_path_factory.mktemp("clone")
        shutil.copytree(work.root / "results", root / "results")
        shutil.copy(work.root / "dvc.lock", root)
        return Workspace(root, empty_database)

    return make


@pytest.fixture
def check_study(monkeypatch):
    """Runs `auxreid check` in a folder that is no repository: what it says of the study alone."""
    from typer.testing import CliRunner

    from auxreid.cli import app

    monkeypatch.setattr("auxreid.cli.go_to_root", lambda: None)
    for name in ("credentials.check_dvc_config", "own_folders.look_after"):
        monkeypatch.setattr(f"auxreid.plumbing.team.{name}", lambda root: [])
    return lambda: CliRunner().invoke(app, ["check"])


@pytest.fixture(scope="session")
def stage_python(tmp_path_factory):
    """A folder for PATH whose `python` runs a stage in a fork, for tests that are not about its process."""
    with warm_python(tmp_path_factory.mktemp("warm")) as folder:
        yield folder


@pytest.fixture(scope="session")
def trained_people(tmp_path_factory, stage_python):
    """A trained study of few people, to be copied; beside it, as a .log, what its `dvc repro` said."""
    from clones import once, train_people

    return once(tmp_path_factory, "trained_people", lambda root: train_people(root, stage_python))
