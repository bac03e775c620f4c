"""The recipe of docs/team.md, typed as it stands there: one trains and pushes, another gets the same runs untrained.

The commands run in Git clones of the project on a miniature sample, against a folder and against an S3 server.
"""

import re
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest
import yaml
from clones import ROOT, Clone, executed, git_clone
from compare_stores import differences
from s3_server import BUCKET, s3_server, without_credentials

pytestmark = pytest.mark.slow

ADD = "dvc remote add -d team {url} && git add .dvc/config && git commit -m 'Remote of the team'"
SHARE = "git commit -am 'Results' && dvc push --run-cache && git push"
RECEIVE = "dvc repro --pull && make publish"
UPDATE = "git pull && dvc repro --pull && make publish"

ROW = "visual_only_corrected"
CHAIN = {f"{stage}@sample_people-{ROW}-0" for stage in ("finetune", "evaluate")} | {"compare@sample_people"}


def fetched(output: str) -> set[str]:
    """Stages whose outputs a `dvc repro --pull` with this output brought."""
    lines = r"(?:Pulling data for stage: '([^']+)')|(?:Stage '([^']+)' is cached - skipping run)"
    return {first or second for first, second in re.findall(lines, output)} - {"data.dvc"}


def stages(clone: Clone) -> set[str]:
    return set(yaml.safe_load((clone.root / "dvc.lock").read_text())["stages"])


def store(clone: Clone) -> str:
    return f"sqlite:///{clone.root}/mlruns/mlflow.db"


def published(output: str) -> dict[str, int]:
    return {outcome: int(count) for count, outcome in re.findall(r"(\d+) (created|unchanged|superseded)", output)}


def superseded(clone: Clone) -> int:
    """How many runs show former results."""
    with closing(sqlite3.connect(clone.root / "mlruns/mlflow.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM tags WHERE key = 'auxreid.superseded'").fetchone()
    return count


def table(clone: Clone) -> set[str]:
    """The lines of the comparison."""
    return set((clone.root / "results/compare/sample_people/table.csv").read_text().splitlines()[1:])


@pytest.fixture(scope="module")
def prepare(empty_database):
    """What `make` would do first in a clone, and an empty store, whose tables take MLflow seconds to make."""

    def prepare(clone: Clone) -> Clone:
        clone.lend_environment()
        (clone.root / "mlruns").mkdir()
        shutil.copy(empty_database, clone.root / "mlruns")
        return clone

    return prepare


@pytest.fixture(scope="module")
def trained(tmp_path_factory, trained_people, stage_python, prepare) -> Clone:
    """The clone that trained, and pushed to a folder and to a bare repository beside it."""
    root = tmp_path_factory.mktemp("team") / "trained"
    clone = prepare(Clone(shutil.copytree(trained_people, root, symlinks=True)))
    clone.take_python(stage_python)
    hub, folder = root.parent / "hub", root.parent / "remote"
    clone.run("git", "init", "-q", "--bare", "-b", "main", str(hub))
    clone.run("git", "remote", "add", "origin", str(hub))
    clone.run("git", "push", "-qu", "origin", "main")
    clone.shell(ADD.format(url=folder))
    assert set(executed(trained_people.with_suffix(".log").read_text())) == stages(clone) and len(stages(clone)) == 15
    clone.run("git", "add", "dvc.lock")
    clone.shell(SHARE)
    clone.shell("make publish")
    return clone


@pytest.fixture(scope="module")
def teammate(trained, prepare) -> Clone:
    return prepare(git_clone(trained.root.parent / "hub", trained.root.parent / "teammate"))


def test_the_page_for_teams_says_these_commands():
    page = (ROOT / "docs/team.md").read_text(encoding="utf-8")
    section = page.partition("## Share stages with a team")[2].partition("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    for line in (SHARE, RECEIVE, UPDATE):
        assert line in commands
    assert any(line.startswith(ADD.partition(" {url}")[0]) for line in commands)


def test_a_teammate_gets_the_same_runs_without_training(trained, teammate):
    received = teammate.shell(RECEIVE).stdout
    assert executed(received) == [] and fetched(received) == stages(trained)
    made = 10 + len(table(trained))  # a row's three stages are one run, and the rows of the table one each
    assert published(received) == {"created": made, "unchanged": 0, "superseded": 0}
    assert teammate.run("git", "status", "--porcelain").stdout == ""
    again = teammate.shell(RECEIVE).stdout
    assert executed(again) == [] and published(again) == {"created": 0, "unchanged": made, "superseded": 0}
    script = ROOT / "tests/compare_stores.py"
    done = teammate.run(sys.executable, str(script), store(trained), store(teammate), check=False)
    assert (done.returncode, done.stdout) == (0, "the same runs\n")


def test_an_edit_of_one_ablation_arrives_as_its_chain_alone(trained, teammate):
    before = table(trained)
    trained.edit(lambda params: params["ablations"][ROW].update(finetune={"lr": 1.0e-4}))
    assert set(trained.repro()) == CHAIN
    trained.shell(SHARE)
    trained.shell("make publish")
    changed = 2 + len(table(trained) - before)  # the row of this seed, the comparison, and its lines
    assert len(differences(store(trained), store(teammate))) == 2 * changed  # runs are new, and others superseded
    received = teammate.shell(UPDATE).stdout
    assert executed(received) == [] and fetched(received) == CHAIN
    kept = 10 + len(before) - changed
    assert published(received) == {"created": changed, "unchanged": kept, "superseded": changed}
    assert differences(store(trained), store(teammate)) == []


def test_an_edit_back_is_answered_by_the_run_cache_of_the_remote(teammate):
    edited = (teammate.root / "dvc.lock").read_text()
    teammate.edit(lambda params: params["ablations"][ROW].update(finetune=params["ablations"]["clip_reid"]["finetune"]))
    shutil.rmtree(teammate.root / ".dvc/cache")
    received = teammate.shell("dvc repro --pull").stdout
    assert executed(received) == [] and fetched(received) >= CHAIN
    assert (teammate.root / "dvc.lock").read_text() != edited


def test_the_same_through_an_s3_server(trained, prepare, tmp_path):
    with s3_server() as server:
        environment = without_credentials(trained.env, tmp_path / "nothing")
        trained.env = environment | server.credentials
        trained.shell("dvc remote remove team")
        trained.shell(ADD.format(url=f"s3://{BUCKET}/auxreid"))
        trained.shell(f"dvc remote modify team endpointurl {server.url}")
        trained.shell(SHARE)
        member = prepare(git_clone(trained.root.parent / "hub", tmp_path / "member"))
        member.env = without_credentials(member.env, tmp_path / "nothing")
        for option in ("access_key_id", "secret_access_key"):
            member.shell(f"dvc remote modify --local team {option} {getattr(server, option)}")
        received = member.shell(RECEIVE).stdout
    assert executed(received) == [] and fetched(received) == stages(trained)
    assert member.run("git", "status", "--porcelain").stdout == ""
    found = differences(store(trained), store(member))  # the member never had the former results
    assert len(found) == superseded(trained) and all(line.endswith(f"only in {store(trained)}") for line in found)


def test_no_credential_was_committed(trained):
    history = trained.run("git", "log", "-p", "--all", "--", ".dvc").stdout
    assert "endpointurl" in history and "secret" not in history and "access_key" not in history
