"""Sources of ratings: MovieLens layouts, the download, synthetic data."""
