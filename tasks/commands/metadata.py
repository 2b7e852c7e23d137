"""Metadata of metrics for the screens, which import tasks, not models."""

from models.evaluation.metadata import (
    LOWER_IS_BETTER,
    MAIN_METRICS,
    MetricAtK,
    best_of,
    heading,
    in_order,
    model_label,
)

__all__ = ["LOWER_IS_BETTER", "MAIN_METRICS", "MetricAtK", "best_of", "heading", "in_order", "model_label"]
