"""The events of all nodes, in one actor on the coordinator's node, so that what a node sent outlives it."""


class EventLog:
    """Keeps events in the order in which they arrive; Ray ships this module's source, as task.py's."""

    def __init__(self) -> None:
        self.events: list[dict] = []

    def add(self, event: dict) -> None:
        self.events.append(event)

    def since(self, first: int) -> list[dict]:
        """The events from this number on; the first is 0."""
        return self.events[first:]
