"""The settings of stage 2 that a row of the study really runs with."""

from auxreid.plumbing.settings.recipes import FinetuneConfig
from auxreid.plumbing.settings.rows import AblationConfig


def row_settings(recipe: FinetuneConfig, row: AblationConfig) -> FinetuneConfig:
    """The recipe's settings with the row's own in their place, and epochs and milestones times its epoch factor.

    The steps of the learning rate in the thesis's runs of 360 and 480 epochs are unknown; here they are stretched with
    the epochs. A recipe's `max_epoch_factor` limits the factor.
    """
    settings = recipe.replaced(row.finetune or {})
    factor = _factor(row, settings.max_epoch_factor)
    stretched = {"epochs": factor * settings.epochs, "milestones": tuple(factor * m for m in settings.milestones)}
    return settings.model_copy(update=stretched)


def remark(recipe: FinetuneConfig, row: AblationConfig) -> str:
    """What a reader of the row's figures must know: that it ran with fewer epochs than it asks for. Else empty."""
    limit = recipe.replaced(row.finetune or {}).max_epoch_factor
    if _factor(row, limit) == _factor(row, None):
        return ""
    return f"epoch factor {row.epoch_factor} run at {limit}"


def _factor(row: AblationConfig, limit: int | None) -> int:
    asked = row.epoch_factor or 1
    return asked if limit is None else min(asked, limit)
