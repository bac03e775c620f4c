"""Ideas of `auxiliary` that no module computes: for tests of what the graph makes of what an idea reads."""

from auxreid.plumbing.settings.auxiliary import Idea
from auxreid.plumbing.settings.config import Config

# A real one, as params.yaml has it.
HEADS = {"kind": "attribute_heads", "weight": 0.3, "scale": "sum", "level": "identity", "shuffled": False}


class Posed(Idea):
    """Its keys say what it reads."""

    kind: str = "posed"
    pose: bool = True
    ranks: bool = False

    @property
    def needs_pose(self) -> bool:
        return self.pose

    @property
    def ranks_pose(self) -> bool:
        return self.ranks


def with_idea(config: Config, row: str, idea: Idea) -> Config:
    """The settings with this idea in a row."""
    body = config.ablations[row].model_copy(update={"auxiliary": idea})
    return config.model_copy(update={"ablations": {**config.ablations, row: body}})
