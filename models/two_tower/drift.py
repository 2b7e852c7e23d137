"""The guard against drift: signs that an hourly update has gone wrong."""

import math

from models.incremental import UpdateReport
from models.two_tower.config import UpdateConfig


def drift(report: UpdateReport, config: UpdateConfig) -> str | None:
    """The limit that an update has passed, in words; None if none."""
    rise = report.old_after / max(report.old_before, 1e-9) - 1
    if not math.isfinite(rise) or rise > config.max_loss_rise:
        return f"the loss on earlier events rose by {rise:.1%} (at most {config.max_loss_rise:.0%})"
    moved = report.shift_mean / max(report.norm_mean, 1e-9)
    if not math.isfinite(moved) or moved > config.max_shift:
        return f"its embeddings moved by {moved:.0%} of their length (at most {config.max_shift:.0%})"
    return None
