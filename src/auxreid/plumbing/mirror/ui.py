"""`auxreid ui`: MLflow's UI on this machine, and the addresses of each data set's views."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.shared_views import links
from auxreid.plumbing.mirror.store import SQLITE, Store, database_path, open_store
from auxreid.plumbing.mirror.ui_server import HOST, open_port, run_server


def serve(root: Path, port: int) -> int:
    """Prints the links, then answers until it is stopped; returns the exit code.

    With MLFLOW_TRACKING_URI at a server, its UI is running already: then the links are all there is to do. Raises
    DataError if MLflow does not answer, ConfigError if the port cannot be had.
    """
    store = open_store(root)
    store.ping()
    if not store.uri.startswith(SQLITE):
        print("\n".join(view_links(store, store.uri.rstrip("/"))))
        return 0
    with open_port(port) as listener:
        address = f"http://{HOST}:{port}"
        for line in [*view_links(store, address), f"MLflow: {address}  (Ctrl-C ends it)"]:
            print(line, flush=True)
        with suppress(KeyboardInterrupt):
            run_server(store, (database_path(store.uri).parent / "artifacts").as_uri(), listener)
    return 0


def view_links(store: Store, address: str) -> list[str]:
    """For each experiment with runs of ours, a line per view."""
    lines = []
    for experiment in store.experiments():
        if store.client.search_runs([experiment.experiment_id], view.OURS, max_results=1):
            found = links(experiment, address) or {"runs": plain_link(experiment.experiment_id, address)}
            lines += [f"{experiment.name}: {title}: {link}" for title, link in found.items()]
    return lines


def plain_link(experiment: str, address: str) -> str:
    """Of an experiment without a comparison: its runs without the superseded ones."""
    query = f"workflowType=machine_learning&searchFilter={quote(view.CURRENT)}"
    return f"{address}/#/experiments/{experiment}/runs?{query}"
