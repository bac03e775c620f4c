"""The whole API of the lost-pet service against its own description, with requests that fit it and that do not."""

import re
from collections import Counter

import pytest
import schemathesis
import schemathesis.engine
from pets_client import GENEROUS, WHITE, Pets, TestClient
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events
from toy_engine import toy_engine

from auxreid.lostpets.service.app import create_app
from auxreid.lostpets.service.settings import Settings

# A description cannot say what a photograph is, which words are understood, or where an address leads to.
MAY_BE_REFUSED = ("/api/look", "/api/search", "/api/reports", "/api/searches")
FINE = ["2xx", "403", "404", "409", "429"]
REFUSED = [*FINE, "413", "415", "422"]
CONFIG = {
    "seed": 1,
    "generation": {"max-examples": 15, "database": "none"},
    "phases": {"stateful": {"enabled": False}},  # ids are given by the test below
    "checks": {"positive_data_acceptance": {"expected-statuses": FINE}},
    "operations": [
        {"include-path": path, "checks": {"positive_data_acceptance": {"expected-statuses": REFUSED}}}
        for path in MAY_BE_REFUSED
    ],
}
ID = re.compile("[0-9a-f]{16}")


@pytest.fixture
def service(tmp_path):
    app = create_app(toy_engine(tmp_path), tmp_path, Settings(**GENEROUS))
    return Pets(TestClient(app), tmp_path)  # schemathesis starts it


@pytest.fixture
def description(service):
    return schemathesis.openapi.from_asgi("/openapi.json", service.app, config=SchemathesisConfig.from_dict(CONFIG))


def faults(description) -> tuple[list[str], Counter]:
    """What is not as described, and how many checks of each operation were made, in schemathesis's phases."""
    found, made = [], Counter()
    for event in schemathesis.engine.from_schema(description).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.append(str(event.info))
        if isinstance(event, events.ScenarioFinished):
            for case, checks in event.recorder.checks.items():
                operation = event.recorder.cases[case].value.operation.label
                for check in checks:
                    made[operation] += 1
                    if check.status != Status.SUCCESS:
                        failed = check.failure_info
                        found.append(
                            f"{operation}: {failed.failure.title}: {failed.failure.message}\n{failed.code_sample}"
                        )
    return found, made


def test_what_is_answered_is_what_is_described(service, description):
    found, made = faults(description)
    assert found == []
    paths = service.client.get("/openapi.json").json()["paths"]
    assert set(made) == {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert len(made) == 18 and min(made.values()) > 4


def test_so_it_is_for_reports_and_saved_searches_that_exist(service, description):
    statuses, kept = Counter(), {}
    makes = {"report": lambda: service.post(WHITE[0]), "saved_id": lambda: service.save(WHITE[0])}

    def before_call(context, case, options):
        for name, make in makes.items():
            if not ID.fullmatch(str(case.path_parameters.get(name, ""))):
                continue
            if name not in kept:
                kept[name] = make()
            case.path_parameters[name] = kept[name].get("report") or kept[name]["saved"]
            if "X-Report-Token" in (case.headers or {}):
                case.headers["X-Report-Token"] = kept[name]["token"]
            if "token" in (case.query or {}):
                case.query["token"] = kept[name]["token"]

    def after_call(context, case, response):
        statuses[response.status_code] += 1
        if case.method == "DELETE" and response.status_code == 204:
            kept.clear()

    for hook in (before_call, after_call):
        schemathesis.hook(hook)
    try:
        found, _ = faults(description.include(path_regex=r"\{report\}|\{saved_id\}"))
    finally:
        schemathesis.hooks.unregister_all()
    assert found == []
    assert min(statuses[status] for status in (200, 204, 403, 405, 409, 422)) > 0, statuses
