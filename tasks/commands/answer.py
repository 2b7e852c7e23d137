"""The answers of commands; screens, pages and ``--json`` show them."""

from typing import Any

Answer = dict[str, Any]
"""An answer, or a row of one: values by name, as JSON has them."""
