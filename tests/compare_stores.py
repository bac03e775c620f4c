"""Whether two MLflow stores show the same runs: `python tests/compare_stores.py sqlite:///A sqlite:///B`.

Equal must be what a person can see of a result: names, states and times of the runs, parameters, every point of every
curve with its step and time, tags, and the bytes of the artifacts. Ids and addresses are each store's own affair.
"""

import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run

OWN_TAGS = {"mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit"}  # who published
SUPERSEDED, RESULT, ATTEMPT = "auxreid.superseded", "auxreid.result", "auxreid.attempt"
PARENT = "mlflow.parentRunId"
OLDEST_FIRST = "attributes.start_time ASC"

Aspects = dict[str, object]  # what there is to say about a run, by name


def differences(uri_a: str, uri_b: str) -> list[str]:
    """What is in one of the stores and not in the other, or not equal; empty if they show the same runs."""
    a, b = describe(uri_a), describe(uri_b)
    found = []
    for run in sorted(a.keys() | b.keys()):
        if run not in a or run not in b:
            found.append(f"{run}: only in {uri_a if run in a else uri_b}")
            continue
        for aspect in sorted(a[run].keys() | b[run].keys()):
            first, second = (store[run].get(aspect, "nothing") for store in (a, b))
            if first != second:
                found.append(f"{run}: {aspect}: {first!s:.200} is not {second!s:.200}")
    return found


def describe(uri: str) -> dict[str, Aspects]:
    """All runs of a store. A name that several runs bear gets their results' digests or attempts, and a number."""
    client = MlflowClient(tracking_uri=uri)
    runs = {run.info.run_id: (name, run) for name, run in all_runs(client)}
    names = {run_id: label(name, run) for run_id, (name, run) in runs.items()}
    seen: Counter[str] = Counter()
    described = {}
    for run_id, (_, run) in runs.items():
        seen[names[run_id]] += 1
        number = f" ({seen[names[run_id]]})" if seen[names[run_id]] > 1 else ""
        described[names[run_id] + number] = aspects(client, run, names)
    return described


def all_runs(client: MlflowClient) -> Iterator[tuple[str, Run]]:
    for experiment in client.search_experiments():
        token = None
        while True:
            page = client.search_runs(
                [experiment.experiment_id], order_by=["attributes.start_time ASC"], page_token=token
            )
            yield from ((experiment.name, run) for run in page)
            token = page.token
            if not token:
                break


def label(experiment: str, run: Run) -> str:
    result = run.data.tags.get(RESULT) or f"attempt {run.data.tags.get(ATTEMPT, 'unknown')}"
    return f"{experiment}/{run.info.run_name} [{result[:16]}]"


def aspects(client: MlflowClient, run: Run, names: dict[str, str]) -> Aspects:
    info, tags = run.info, {tag: value for tag, value in run.data.tags.items() if tag not in OWN_TAGS}
    for tag in (SUPERSEDED, PARENT):
        if tag in tags:
            tags[tag] = names[tags[tag]]
    found: Aspects = {"status": info.status, "started": info.start_time, "finished": info.end_time}
    found |= {f"param {name}": value for name, value in run.data.params.items()}
    found |= {f"tag {name}": value for name, value in tags.items()}
    for name in run.data.metrics:
        points = client.get_metric_history(info.run_id, name)
        found[f"metric {name}"] = sorted((point.step, point.timestamp, point.value) for point in points)
    found |= {f"artifact {path}": digest for path, digest in artifacts(client, info.run_id)}
    return found | {f"model {path}": digest for path, digest in models(client, run)}


def artifacts(client: MlflowClient, run_id: str) -> Iterator[tuple[str, str]]:
    if not client.list_artifacts(run_id):
        return
    with tempfile.TemporaryDirectory() as folder:
        client.download_artifacts(run_id, "", folder)
        yield from hashes(Path(folder))


def models(client: MlflowClient, run: Run) -> Iterator[tuple[str, str]]:
    """The files of a run's models, but for those with ids in them, of which MLflow writes one at loading."""
    for output in run.outputs.model_outputs if run.outputs is not None else ():
        model = client.get_logged_model(output.model_id)
        with tempfile.TemporaryDirectory() as folder:
            download_artifacts(model.artifact_location, dst_path=folder, tracking_uri=client.tracking_uri)
            for path, digest in hashes(Path(folder)):
                if Path(path).name not in ("MLmodel", "registered_model_meta"):
                    yield f"{model.name}/{Path(path).name}", digest


def hashes(folder: Path) -> Iterator[tuple[str, str]]:
    """Files below a folder by their paths in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> int:
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    found = differences(*sys.argv[1:])
    print("\n".join(found) or "the same runs")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
