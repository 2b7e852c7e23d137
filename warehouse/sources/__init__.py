"""Where ratings come from: MovieLens layouts, the download, synthetic data."""
