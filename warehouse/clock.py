"""How far the clocks of sources may be trusted."""

TOLERANCE = 300.0
"""Seconds that the clock of a source may be fast: the skew that Kerberos allows (RFC 4120, section 10)."""
