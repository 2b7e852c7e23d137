"""Made-up ratings in the shape of MovieLens 1M or 32M, to try things out without a network and at any scale.

Films lie in a space of tastes, on shelves of similar ones (``world``). A person has a taste, which depends on
gender and age and drifts over the years (``people``, ``ratings``), and rates in sessions: a long first one,
then perhaps a few short ones (``sessions``). Within a session people walk along a shelf, then go to another
that suits them; they take what is popular and to their taste, never a film twice (``walk``). So there is
something to learn for popularity, for collaborative and for sequential models. The constants are fitted to
counts of MovieLens 1M: users by month, ratings by user and by film, sessions, fractions of stars, of genres
and of demographics.

With a number of films the data set has the shape of the large ones (``shape``): users come over 29 years and
rate what is out by then, and all but a few thousand of the films are a second long tail, which people find
by chance alone. A popular film is then rated by as large a fraction of the users at every scale.

Users come in chunks, each with its own random stream: memory is bounded by a chunk, time grows with the
ratings, and the same scale, films and seed give the same bytes.
"""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

VERSION = 1
"""To be raised with every change of what is generated."""
