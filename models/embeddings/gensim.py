"""Token vectors by gensim's word2vec, beside the compiled trainers: https://radimrehurek.com/gensim.

Its bags and windows look both ways, all tokens of a window count alike, and noise is uniform, as it is in the
compiled trainers. One thread, so that two fits are equal.
"""

from itertools import pairwise
from typing import Literal

import numpy as np

from models.dataset import Ints, Longs
from models.embeddings.cbow import CbowConfig, passes
from models.embeddings.skip_gram import SkipGramConfig, TokenVectors

VectorTrainer = Literal["compiled", "gensim"]

LONGEST = 10_000
"""Tokens of a sequence that gensim reads."""


def gensim_bags(
    token: Ints, indptr: Longs, n_tokens: int, window: int, config: CbowConfig = CbowConfig()
) -> TokenVectors:
    """Vectors of ``n_tokens`` tokens by bags of words of the sequences ``token[indptr[s]:indptr[s + 1]]``."""
    return _vectors(token, indptr, n_tokens, window, config, passes(len(token), config), skip_gram=False)


def gensim_skip_gram(token: Ints, indptr: Longs, n_tokens: int, config: SkipGramConfig) -> TokenVectors:
    """Vectors of ``n_tokens`` tokens by skip-gram of the sequences ``token[indptr[s]:indptr[s + 1]]``."""
    return _vectors(token, indptr, n_tokens, config.window, config, config.epochs, skip_gram=True)


def _vectors(
    token: Ints,
    indptr: Longs,
    n_tokens: int,
    window: int,
    config: CbowConfig | SkipGramConfig,
    epochs: int,
    skip_gram: bool,
) -> TokenVectors:
    from gensim.models import Word2Vec  # 0.6 s, for a trainer that few choose

    texts = _texts(token, indptr)
    model = Word2Vec(
        vector_size=config.embedding_dim,
        window=window,
        sg=int(skip_gram),
        negative=config.n_negatives,
        ns_exponent=0.0,
        sample=0,
        min_count=1,
        alpha=config.learning_rate,
        min_alpha=config.learning_rate * 1e-4,
        workers=1,
        seed=config.seed,
    )
    shape = n_tokens, config.embedding_dim
    vectors = TokenVectors(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    if not texts:
        return vectors
    model.build_vocab(texts)
    if epochs:
        model.train(texts, total_examples=len(texts), epochs=epochs)
    number = np.array(model.wv.index_to_key, dtype=np.int64)
    vectors.input[number] = model.wv.vectors
    if config.n_negatives:
        vectors.output[number] = model.syn1neg
    return vectors


def _texts(token: Ints, indptr: Longs) -> list[list[str]]:
    """The sequences in words, in parts where they are too long."""
    bounds = [
        (begin, min(begin + LONGEST, end))
        for start, end in pairwise(indptr.tolist())
        for begin in range(start, end, LONGEST)
    ]
    return [[str(one) for one in token[begin:end].tolist()] for begin, end in bounds]
