"""Features as models see them: the schema, point-in-time values, encoding."""
