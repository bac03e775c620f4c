"""MLflow's own server as one process, on this machine, whose page opens on the comparison.

`mlflow ui` starts a supervisor and four workers, which stay when their parent is ended; one process ends when it is
told to. MLflow's page starts as one for chatbots in each new browser, whatever an experiment is tagged as: what it
remembers of its reader is given a first value here, and a value that is there is left.
"""

import json
import os
import re
import socket
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.mirror.shared_views import TABLE, has_view, path
from auxreid.plumbing.mirror.store import Store

if TYPE_CHECKING:
    from fastapi import FastAPI

HOST = "127.0.0.1"
PORTS = range(1, 65536)
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # of language models
SECONDS_TO_END = 3  # for requests that are being answered when the server is told to end
FIRST_VALUES = {  # of the browser's local storage, by MLflow's key
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,  # without a language model; it takes a third of the page
}
SCRIPT = """<script>
(() => {
  for (const [key, value] of Object.entries(%s))
    if (localStorage.getItem(key) === null) localStorage.setItem(key, JSON.stringify(value));
  const views = %s, view = (hash, plain) => views[hash.match(plain)?.[1]];
  const opened = view(location.hash, /^#\\/experiments\\/(\\d+)(?:\\/runs)?\\/?$/);
  if (opened) location.replace("#" + opened);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const found = link && view(link.hash, /^#\\/experiments\\/(\\d+)$/);
    if (!found || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    location.hash = found;
  }, true);
})();
</script>"""


def open_port(port: int) -> socket.socket:
    """A socket that listens on this machine alone. Raises ConfigError if the port is impossible or taken."""
    if port not in PORTS:
        raise ConfigError(f"--port {port}: allowed are {PORTS[0]} to {PORTS[-1]}")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended is no obstacle
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigError(f"--port {port}: {error.strerror} on {HOST}; take another one") from None
    return listener


def run_server(store: Store, artifacts: str, listener: socket.socket) -> None:
    """Answers until SIGTERM, which ends this process, or Ctrl-C, which raises KeyboardInterrupt."""
    from mlflow.server import constants

    os.environ |= NO_JOBS | {
        constants.BACKEND_STORE_URI_ENV_VAR: store.uri,
        constants.REGISTRY_STORE_URI_ENV_VAR: store.uri,
        constants.ARTIFACT_ROOT_ENV_VAR: artifacts,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    import uvicorn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts that MLflow pins
        from mlflow.server.fastapi_app import app  # reads the environment

    put_page_first(app, store)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=SECONDS_TO_END)
    uvicorn.Server(config).run(sockets=[listener])


def put_page_first(app: "FastAPI", store: Store) -> None:
    """Our page in the place of MLflow's, behind the same checks of host and origin."""
    import mlflow.server
    from starlette.requests import Request
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    page = Path(mlflow.server.app.static_folder, "index.html").read_text(encoding="utf-8")

    def answer(request: Request) -> HTMLResponse:
        return HTMLResponse(with_script(page, views(store)), headers={"Cache-Control": "no-cache"})

    app.router.routes.insert(0, Route("/", answer, methods=["GET", "HEAD"]))


def views(store: Store) -> dict[str, str]:
    """The table's path, by the id of each experiment that has one."""
    return {one.experiment_id: path(one.experiment_id, TABLE) for one in store.experiments() if has_view(one, TABLE)}


def with_script(page: str, views: Mapping[str, str]) -> str:
    """The page with our script before all of its own."""
    script = SCRIPT % (json.dumps(FIRST_VALUES), json.dumps(views))
    return re.sub("<head>", lambda found: found[0] + script, page, count=1)
