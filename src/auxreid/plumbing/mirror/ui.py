"""MLflow's UI on this machine. It has no default filter to set, so that the view without superseded runs is a link."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.store import SQLITE, Store, database_path, open_store

HOST = "127.0.0.1"
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # else ten processes for what is not used here


def serve(root: Path, port: int) -> int:
    """Prints the links, then runs `mlflow ui` until it is stopped; returns its exit code.

    With MLFLOW_TRACKING_URI at a server, its UI is running already: then the links are all there is to do.
    """
    store = open_store(root)
    store.ping()
    is_file = store.uri.startswith(SQLITE)
    address = f"http://{HOST}:{port}" if is_file else store.uri.rstrip("/")
    for dataset, link in current_links(store, address).items():
        print(f"{dataset}: {link}", flush=True)
    if not is_file:
        return 0
    artifacts = (database_path(store.uri).parent / "artifacts").as_uri()
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port)]
    command += ["--backend-store-uri", store.uri, "--default-artifact-root", artifacts]
    environment = NO_JOBS | os.environ
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 0


def current_links(store: Store, address: str) -> dict[str, str]:
    """For each experiment with runs of ours, the address of its table without the superseded ones."""
    query = f"workflowType=machine_learning&searchFilter={quote(view.CURRENT)}"  # the UI starts as one for chatbots
    return {
        experiment.name: f"{address}/#/experiments/{experiment.experiment_id}/runs?{query}"
        for experiment in store.experiments()
        if store.client.search_runs([experiment.experiment_id], view.OURS, max_results=1)
    }
