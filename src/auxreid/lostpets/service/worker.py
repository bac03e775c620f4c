"""The service's background threads: saved searches on new reports, webhooks, and what is deleted after its time."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event, Thread

from auxreid.lostpets.service.log import LOG, told_place
from auxreid.lostpets.service.messages import folder_of
from auxreid.lostpets.service.repair import repair
from auxreid.lostpets.service.saved import candidate, run_on
from auxreid.lostpets.service.state import Service
from auxreid.lostpets.service.webhooks import NotDelivered, deliver

TIDYING = 600.0  # seconds between two times that the base is tidied
PAUSE = 30.0  # seconds between two looks, unless it is woken
EXPIRED_PHOTOS = """
select name from photos where created < ? and name not in (select photo from report_photos)
and name not in (select photo from saved_photos)"""


class Worker:
    """A thread that starts and ends with the service. What it has not done is in the tables: the next start goes on."""

    def __init__(self, service: Service, jobs: Sequence[Callable[[Service], None]]):
        self._service, self._jobs, self._asked, self._ended = service, jobs, Event(), False
        self._thread = Thread(target=self._work, name="lostpets-worker", daemon=True)

    def start(self) -> None:
        self._asked.set()
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._asked.set()

    def stop(self) -> None:
        """Waits for what it is at."""
        self._ended = True
        self._asked.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended:
            self._asked.wait(PAUSE)
            self._asked.clear()
            for job in self._jobs:
                try:
                    if not self._ended:
                        job(self._service)
                except Exception as error:  # the next round tries again; the service goes on
                    LOG.error("background: %s", told_place(error))


class Workers:
    """One for the service's own work, one for what is sent: others' servers may take their time."""

    def __init__(self, service: Service):
        inside = (mend, run_saved, forget_old, Tidying())
        self._workers = [Worker(service, inside), Worker(service, (send_messages, send_webhooks))]

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def wake(self) -> None:
        """There is something to do."""
        for worker in self._workers:
            worker.wake()

    def stop(self) -> None:
        """Waits for what they are at."""
        for worker in self._workers:
            worker.stop()


class Tidying:
    """The base joins its small files, leaves old ones, and makes its index where it is due; now and then."""

    def __init__(self):
        self._last = time.monotonic()

    def __call__(self, service: Service) -> None:
        if time.monotonic() - self._last > TIDYING:
            self._last = time.monotonic()
            service.engine.base.tidy()


def mend(service: Service) -> None:
    """What a change left that failed half way."""
    if service.to_mend:
        repair(service)
        service.to_mend = False


def run_saved(service: Service) -> None:
    """Every saved search on every new report."""
    for row in service.store.rows("select report from to_run"):
        run_on(service, row["report"])
    if service.store.row("select 1 from deliveries where tries = 0"):
        service.wake()


def send_webhooks(service: Service) -> None:
    """Those that are due."""
    due = service.store.rows("select * from deliveries where next <= ? order by next", (time.time(),))
    for delivery in due:
        _send(service, delivery)


def _send(service: Service, delivery: sqlite3.Row) -> None:
    """Once; tried again later if it fails, twice as late each time."""
    settings = service.settings
    saved = service.store.row("select * from saved where id = ?", (delivery["saved"],))
    key = (delivery["saved"], delivery["report"])
    found = service.store.row("select * from candidates where saved = ? and report = ?", key)
    tries = delivery["tries"] + 1
    if saved is not None and found is not None and saved["webhook"] is not None:
        content = {"saved": saved["id"], "name": saved["name"], "candidate": candidate(found).model_dump(mode="json")}
        try:
            deliver(saved["webhook"], content, settings)
        except NotDelivered as error:
            LOG.warning("webhook: try %d of %d: %s", tries, settings.webhook_tries, error)
            if tries < settings.webhook_tries:
                later = time.time() + settings.webhook_pause * 2 ** (tries - 1)
                with service.store.change():
                    values = (tries, later, delivery["id"])
                    service.store.run("update deliveries set tries = ?, next = ? where id = ?", values)
                return
    with service.store.change():
        service.store.run("delete from deliveries where id = ?", (delivery["id"],))


def send_messages(service: Service) -> None:
    """Those in the outbox, to the operator's own address if there is one; what it does not take stays."""
    settings = service.settings
    for path in sorted(folder_of(service.home).glob("*.json")) if settings.messages_to else ():
        try:
            content = json.loads(path.read_text("utf-8"))
            deliver(settings.messages_to, content, replace(settings, private_webhooks=True))
        except FileNotFoundError:  # its report was deleted
            continue
        except ValueError:  # a file of somebody else's: the others do not wait for it
            LOG.warning("message: a file in the outbox is no message")
            continue
        except NotDelivered as error:
            LOG.warning("message: %s; tried again later", error)
            return
        path.unlink(missing_ok=True)


def forget_old(service: Service) -> None:
    """Searches, and photographs of no report and no saved search, an hour after their last use."""
    before = time.time() - service.settings.kept_seconds
    service.engine.looker.forget_old(service.settings.kept_seconds)
    with service.writer.turn(), service.store.change():
        service.store.run("delete from searches where created < ?", (before,))
        for row in service.store.rows(EXPIRED_PHOTOS, (before,)):
            service.photos.remove(row["name"])
            service.store.run("delete from photos where name = ?", (row["name"],))
