"""The gate: whether a release that is whole is also good enough to be published."""
