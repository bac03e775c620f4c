"""The service's background thread: saved searches on new reports, webhooks, and what is deleted after its time."""

import json
import sqlite3
import time
from dataclasses import replace
from threading import Event, Thread

from auxreid.lostpets.service.log import LOG, told_place
from auxreid.lostpets.service.messages import folder_of
from auxreid.lostpets.service.saved import candidate, run_on
from auxreid.lostpets.service.state import Service
from auxreid.lostpets.service.webhooks import NotDelivered, deliver

PAUSE = 30.0  # seconds between two looks, unless it is woken
EXPIRED_PHOTOS = """
select name from photos where created < ? and name not in (select photo from report_photos)
and name not in (select photo from saved_photos)"""


class Worker:
    """Starts with the service and ends with it; what it has not done is in the tables and done after the next start."""

    def __init__(self, service: Service):
        self._service, self._asked, self._ended = service, Event(), False
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
            for job in (run_saved, send_webhooks, send_messages, forget_old):
                try:
                    if not self._ended:
                        job(self._service)
                except Exception as error:  # the next round tries again; the service goes on
                    LOG.error("background: %s", told_place(error))


def run_saved(service: Service) -> None:
    """Every saved search on every new report."""
    for row in service.store.rows("select report from to_run"):
        run_on(service, row["report"])


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
