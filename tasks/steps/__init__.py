"""One pipeline step a file: load once, call models, write."""
