"""The MLflow store: where it is, how it is made without races, one experiment per data set."""

import errno
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.mirror.home import own_database, settle
from auxreid.plumbing.mirror.result import Input
from auxreid.plumbing.mirror.view import INPUT_CONTEXT, KIND, MODELS
from auxreid.plumbing.stage.record import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from mlflow.entities import Run as MlflowRun

SQLITE = "sqlite:///"
POINTS_AT_ONCE = 1000  # MLflow's limits for one batch
NAMES_AT_ONCE = 100
LOCKED = "database is locked"  # SQLite's words
READ_ONLY = "attempt to write a readonly database"
REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS)
ATTEMPTS = 5  # at a write that other machines make at the same moment
PATIENCE = {  # MLflow's defaults keep a caller waiting for many minutes when the server is gone
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


@dataclass(frozen=True)
class Store:
    """A client and the address that it speaks to."""

    client: "MlflowClient"
    uri: str

    def ping(self) -> None:
        """Raises DataError, in one line, if MLflow does not answer at the address."""
        try:
            self.client.search_experiments(max_results=1)
        except Exception as error:
            raise outage(self.uri, error) from error

    @contextmanager
    def naming_an_outage(self) -> Iterator[None]:
        """Inside, an error that came because MLflow is gone becomes ping's; any other goes on as it is.

        So does, as a DataError of one line, that of a store that may be read and not be written.
        """
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException

        try:
            with naming_refusals():
                yield
        except (MlflowException, RequestException) as error:
            self.ping()
            if READ_ONLY in innermost(error):
                raise refusal(str(database_path(self.uri)), "read-only") from error
            if LOCKED in innermost(error):  # by another writer, for longer than SQLite waits; it can still be read
                raise outage(self.uri, error) from error
            raise

    def experiment(self, name: str) -> str:
        """The id of the experiment with this name, made if there is none. DataError if it was deleted in the UI."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                place = artifact_location(self.uri, name)
                return self.client.create_experiment(name, artifact_location=place, tags={KIND: MODELS})
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self.client.get_experiment_by_name(name)  # another process made it since
        if found.lifecycle_stage != "active":
            raise DataError(f"{self.uri}: experiment {name!r} was deleted; see `mlflow experiments restore`")
        return found.experiment_id

    def experiments(self) -> list["Experiment"]:
        """All experiments that were not deleted."""
        found, token = [], None
        while True:
            page = self.client.search_experiments(page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                return found

    def log_batch(self, run_id: str, **entries: list) -> None:
        """MLflow's, at most its limits at once. What the run has already, with the same value, is not added again."""
        repeat_on_conflict(lambda: self.client.log_batch(run_id, **entries))

    def log_params(self, run_id: str, texts: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        for some in batched([Param(name, text) for name, text in texts.items()], NAMES_AT_ONCE):
            self.log_batch(run_id, params=some)

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """A point that the run has already, equal in name, step, time and value, is not added again."""
        from mlflow.entities import Metric

        entries = [Metric(point.name, point.value, point.time_ms, point.step) for point in points]
        for some in batched(entries, POINTS_AT_ONCE):
            self.log_batch(run_id, metrics=some)

    def log_inputs(self, run_id: str, inputs: Sequence[Input]) -> None:
        """The data that a run is made from, by path and DVC's hash. The data itself need not be here.

        The runs of an experiment share one row per data set, which MLflow looks for and then inserts. Of two publishers
        who found none, the database refuses one; its next attempt finds the other's.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        entries = []
        for one in inputs:
            dataset = Dataset(one.path, one.md5, source_type="local", source=json.dumps({"uri": one.path}))
            entries.append(DatasetInput(dataset, [InputTag(INPUT_CONTEXT, ", ".join(one.stages))]))
        if entries:
            repeat_on_conflict(lambda: self.client.log_inputs(run_id, datasets=entries))

    def set_tags(self, run_id: str, texts: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        for some in batched([RunTag(name, text) for name, text in texts.items()], NAMES_AT_ONCE):
            self.log_batch(run_id, tags=some)

    def set_experiment_tag(self, experiment: str, name: str, text: str) -> None:
        repeat_on_conflict(lambda: self.client.set_experiment_tag(experiment, name, text))

    def delete_tag(self, run: "MlflowRun", tag: str) -> bool:
        """Takes a tag away from a run; tells whether it had it."""
        from mlflow.exceptions import MlflowException

        if tag not in run.data.tags:
            return False
        try:
            self.client.delete_tag(run.info.run_id, tag)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # another machine was faster
                raise
        return True

    def runs(self, experiment: str, matching: str = "") -> list["MlflowRun"]:
        """All runs of an experiment that match a search filter and were not deleted in the UI, the oldest first."""
        found, token = [], None
        while True:
            page = self.client.search_runs(
                [experiment], matching, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
            )
            found.extend(page)
            token = page.token
            if not token:
                return found


def repeat_on_conflict(write: Callable[[], None]) -> None:
    """Makes a write, again if the database refuses it, which MLflow calls BAD_REQUEST whatever the database is."""
    from mlflow.exceptions import MlflowException

    for left in reversed(range(ATTEMPTS)):
        try:
            return write()
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST" or not left:
                raise


def batched(entries: list, size: int) -> Iterator[list]:
    for first in range(0, len(entries), size):
        yield entries[first : first + size]


@contextmanager
def naming_refusals() -> Iterator[None]:
    """Turns the error of a file or folder that may not be written into a DataError of one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise refusal(str(error.filename), error.strerror) from error


def refusal(path: str, reason: str) -> DataError:
    return DataError(
        f"{path}: {reason}; MLflow's store cannot be written by this user: ask its owner, or name another store in "
        "MLFLOW_TRACKING_URI"
    )


def outage(uri: str, error: Exception) -> DataError:
    """What to tell the user when MLflow cannot be reached, or its database not be opened."""
    return DataError(
        f"{uri}: MLflow does not answer ({innermost(error)}); nothing is lost: results/ has all that `make publish` "
        "needs, once MLflow is back"
    )


def innermost(error: BaseException) -> str:
    """The first line of the error that all others were raised from: "Connection refused", not what was asked for."""
    while inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = inner
    return str(error).partition("\n")[0] or type(error).__name__


def tracking_uri(root: Path, given: str | None = None) -> str:
    """The address given, else MLFLOW_TRACKING_URI, else the SQLite file mlruns/mlflow.db of the repository."""
    default = f"{SQLITE}{own_database(Path(root))}"
    return given or os.environ.get("MLFLOW_TRACKING_URI") or default


def artifact_location(uri: str, experiment: str) -> str | None:
    """Artifacts lie beside an SQLite file; a server decides for itself. MLflow's own default is the working folder."""
    if not uri.startswith(SQLITE):
        return None
    return (database_path(uri).parent / "artifacts" / experiment).as_uri()


def database_path(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE)).resolve()


def open_store(root: Path, given: str | None = None) -> Store:
    """Opens the store, making an SQLite file that is not there. Imports MLflow, which takes seconds.

    Raises DataError if a database cannot be opened or made; a server is asked by `ping`, or by the first call.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for every run published
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # a page on what is raised anyway
    uri = tracking_uri(root, given)
    if uri.startswith(SQLITE):
        create_database(database_path(uri))
        if database_path(uri) == own_database(Path(root)):
            settle(Path(root))
    try:
        return Store(MlflowClient(tracking_uri=uri, registry_uri=uri), uri)
    except Exception as error:  # of SQLAlchemy or MLflow: no database, or of another version
        raise outage(uri, error) from error


def create_database(path: Path) -> None:
    """Makes MLflow's tables in a file of another name and renames it: the file is whole or not there.

    MLflow writes its schema in many steps; two processes doing so at once, or one that is killed, leave a file that
    none can open.
    """
    if path.exists():
        return
    with naming_refusals():
        path.parent.mkdir(parents=True, exist_ok=True)
    with naming_refusals(), FileLock(path.parent / ".lock"):
        if path.exists():
            return
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        unfinished = path.with_name(f".{path.name}.new")
        unfinished.unlink(missing_ok=True)
        made = SqlAlchemyStore(f"{SQLITE}{unfinished}", (path.parent / "artifacts").as_uri())
        made.engine.dispose()
        os.replace(unfinished, path)
