"""Vectors of users and items learned from sequences: walks, word2vec, nearest-neighbour indices."""
