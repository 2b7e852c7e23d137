"""Published members of the family by name, and the one that won here."""

from models.embeddings.cbow import CbowConfig
from models.two_tower.config import TowersConfig, TrainingConfig, TwoTowerConfig

PRESETS: dict[str, TwoTowerConfig] = {
    # Huang et al. 2013, "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data"
    # (CIKM 2013): attributes of both sides through networks, cosine.
    "dssm": TwoTowerConfig(
        towers=TowersConfig(
            decays=(float("inf"),),
            newest=500,
            mean_hidden=0,
            user_id=True,
            demographics=True,
            statistics=True,
            attributes=True,
            user_hidden=(128,),
            item_hidden=(128,),
            similarity="cosine",
            temperature=0.05,
        ),
        training=TrainingConfig(target="future", recency=180.0, epochs=3, id_learning_rate=0.02),
    ),
    # Covington, Adams and Sargin, "Deep Neural Networks for YouTube Recommendations" (RecSys 2016): the mean
    # of the watched and demographics through a network, softmax over item vectors.
    "youtube_dnn": TwoTowerConfig(
        towers=TowersConfig(
            decays=(float("inf"),),
            newest=500,
            mean_hidden=0,
            demographics=True,
            statistics=True,
            user_hidden=(128,),
        ),
        training=TrainingConfig(target="future", recency=180.0, epochs=3, id_learning_rate=0.02),
    ),
    # Kang and McAuley 2018 (arXiv 1808.09781), with the softmax of Klenitskiy and Vasilev 2023
    # (arXiv 2309.07602) in place of one negative a position.
    "sasrec": TwoTowerConfig(
        towers=TowersConfig(history=("causal",), newest=100),
        training=TrainingConfig(epochs=6),
    ),
    # The default: means of the newest events at several speeds of forgetting, started from word2vec's bags.
    "decayed_means": TwoTowerConfig(
        towers=TowersConfig(embedding_dim=128, tied=False, pace=True),
        training=TrainingConfig(
            epochs=None, first_vectors=CbowConfig(embedding_dim=128), precision="bfloat16"
        ),
    ),
}
"""Configs of the two-tower model."""
