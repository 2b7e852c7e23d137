"""Experiments: who is in which treatment arm, and what the arms' users made of what they were shown."""
