"""Made-up ratings in the shape of MovieLens 1M (placeholder being replaced)."""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.errors import MatineeError
from warehouse.movielens import with_year_and_genres


def parse_scale(text):
    try:
        v = float(text) if text else 1.0
    except ValueError:
        v = 0
    if not 0 < v <= 1000:
        raise MatineeError(f"synthetic:{text}: the scale is a number above 0, for example synthetic:0.1")
    return v


@dataclass(frozen=True)
class Synthetic:
    text: str
    scale: float
    layout = "dat"
    ratings_file = "ratings.dat"
    is_generated = True

    @property
    def dataset(self):
        return f"synthetic:{self.scale:g}"

    @property
    def digests(self):
        from warehouse.sources import Digests

        return Digests(*(hashlib.sha256(f"{self.dataset} {k}".encode()).hexdigest() for k in "rmu"))

    @property
    def n(self):
        return max(int(6040 * self.scale), 10), max(int(3883 * self.scale**0.5), 100)

    def items(self):
        i = np.arange(1, self.n[1] + 1)
        return with_year_and_genres(
            pl.DataFrame(
                {
                    "item_id": i.astype(str),
                    "title": [f"Film {k} ({1950 + k % 51})" for k in i],
                    "genres": [["Drama", "Comedy|Romance", "Action"][k % 3] for k in i],
                }
            )
        )

    def users(self):
        u = np.arange(1, self.n[0] + 1)
        return pl.DataFrame(
            {
                "user_id": u,
                "gender": [("F", "M")[k % 2] for k in u],
                "age": [(1, 18, 25, 35)[k % 4] for k in u],
                "occupation": u % 21,
                "zip": ["10001"] * len(u),
            }
        ).cast({"age": pl.Int32, "occupation": pl.Int32})

    def ratings(self):
        rng = np.random.default_rng(0)
        U, I = self.n
        w = 1 / np.arange(1, I + 1) ** 0.8
        for lo in range(0, U, 1024):
            us = np.arange(lo, min(U, lo + 1024))
            n = np.minimum(20 + rng.lognormal(4.15, 1.4, len(us)).astype(int), I // 2)
            s = np.log(w) + rng.gumbel(size=(len(us), I))
            top = np.argsort(-s, axis=1)
            k = np.arange(I) < n[:, None]
            uu, _ = np.nonzero(k)
            ii = top[k]
            t = (
                956703932
                + rng.integers(0, 2.4e7, len(us))[uu]
                + 30 * np.concatenate([np.arange(x) for x in n])
            )
            yield pl.DataFrame(
                {
                    "line": np.arange(len(uu)) + 1 + lo * 10000,
                    "raw": "",
                    "user_id": uu + lo + 1,
                    "item_id": ii + 1,
                    "rating": rng.integers(1, 6, len(uu)).astype(np.float32),
                    "timestamp": t,
                }
            )
