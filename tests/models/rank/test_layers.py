"""Layers of the rankers against closed forms and slow loops."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.crosses import Cross, CrossBeside
from models.features.schema import Feature, FeatureSchema
from models.rank import gather
from models.rank.bst import BSTConfig, SequenceTransformer
from models.rank.dcn_v2 import MatrixCross
from models.rank.din import DIN, Attention
from models.rank.experts import Gate, gate_entropy, mix
from models.rank.fibinet import Bilinear, SENet
from models.rank.fm import FM, pairwise
from models.rank.layers import Dice, Dropout, Embedding, FirstOrder
from models.rank.ppnet import PPNet
from tests.models.rank.small_rows import SCHEMA, small_rows


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def randomised(module: nn.Module) -> nn.Module:
    """The module with parameters of about 1, in evaluation mode."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn_like(weight))
    return module.eval()


def test_gathers_and_their_gradients_are_those_of_torch() -> None:
    table = torch.randn(30, 4)
    codes = torch.randint(0, 10, (7, 5), dtype=torch.int32)
    codes[3] = 0
    upstream = torch.randn(7, 5, 4)
    ours, theirs = (table.clone().requires_grad_() for _ in range(2))
    found, expected = gather.lookup(ours, codes), nn.functional.embedding(codes, theirs)
    torch.testing.assert_close(found, expected)
    found.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(ours.grad, theirs.grad)
    ours.grad = theirs.grad = None
    pooled = gather.mean_lookup(ours, codes, 10)
    bag = nn.functional.embedding_bag(codes + 10, theirs, mode="mean", padding_idx=10)
    torch.testing.assert_close(pooled, bag)
    assert (pooled[3] == 0).all()
    pooled.backward(upstream[:, 0])
    bag.backward(upstream[:, 0])
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_features_that_name_a_table_share_it_and_the_others_do_not() -> None:
    embedding = Embedding(SCHEMA, embedding_dim=4)
    assert len(embedding.table) == 21 + 31 + 5 + 4 + 3
    by_name = {feature.name: feature for feature in SCHEMA.features}
    code = torch.tensor([7], dtype=torch.int32)
    rows = [embedding.lookup(by_name[name], code) for name in ("item_id", "history", "user_id")]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    assert (embedding.lookup(by_name["item_id"], torch.zeros(1, dtype=torch.int32)) == 0).all()


def test_each_kind_of_feature_becomes_what_it_should() -> None:
    embedding = Embedding(SCHEMA, embedding_dim=4)
    batch = small_rows().batch(np.arange(20))
    vectors, numbers = embedding(batch)
    names = [feature.name for feature in embedding.symbolic]
    assert names == ["user_id", "hour", "item_id", "genres", "history", "searches"]
    torch.testing.assert_close(numbers, torch.stack([batch["age"], batch["price"]], dim=1))
    begin = embedding.begin
    for row in range(20):
        item = embedding.table[begin["item_id"] + int(batch["item_id"][row])]
        torch.testing.assert_close(vectors[row, 2], item)
        on = [begin["genres"] + genre for genre in range(3) if batch["genres"][row, genre]]
        genres = embedding.table[on].mean(0) if on else torch.zeros(4)
        torch.testing.assert_close(vectors[row, 3], genres)
        seen = [begin["item_id"] + int(code) for code in batch["history"][row] if code]
        history = embedding.table[seen].mean(0) if seen else torch.zeros(4)
        torch.testing.assert_close(vectors[row, 4], history)
    assert embedding(batch).flat.shape == (20, embedding.width)


def test_first_order_is_a_sum_of_weights() -> None:
    linear = randomised(FirstOrder(SCHEMA))
    batch = small_rows().batch(np.arange(5))
    vectors, numbers = linear.weight(batch)
    for row in range(5):
        expected = vectors[row].sum() + numbers[row] @ linear.slope[:, 0] + linear.bias[0]
        torch.testing.assert_close(linear(batch)[row, 0], expected)


def test_the_pairwise_term_is_the_sum_over_all_pairs() -> None:
    vectors = torch.randn(6, 5, 4)
    pairs = itertools.combinations(range(5), 2)
    expected = sum((vectors[:, i] * vectors[:, j]).sum(1) for i, j in pairs)
    torch.testing.assert_close(pairwise(vectors)[:, 0], expected)


def test_fm_multiplies_numbers_into_their_vectors() -> None:
    schema = FeatureSchema((Feature("x", "item", "numeric"), Feature("y", "user", "numeric")))
    machine = randomised(FM(schema))
    batch = {"x": torch.tensor([2.0]), "y": torch.tensor([3.0])}
    slope, direction = machine.linear.slope[:, 0], machine.fields.direction
    expected = machine.linear.bias[0] + 2 * slope[0] + 3 * slope[1] + 6 * direction[0] @ direction[1]
    torch.testing.assert_close(machine(batch)[0, 0], expected)


def test_cross_layers() -> None:
    start = torch.randn(3, 5)
    cross = randomised(Cross(5, layers=2))
    x = start
    for weight, bias in zip(cross.weights, cross.bias, strict=True):
        x = torch.stack([row * (x[n] @ weight.weight[0]) + bias + x[n] for n, row in enumerate(start)])
    torch.testing.assert_close(cross(start), x)
    beside = randomised(CrossBeside(5, 2, torch.nn.Linear(5, 3), 3))
    both = torch.cat([beside.cross(start), beside.network(start)], dim=1)
    torch.testing.assert_close(beside(start), both @ beside.joined.weight.T + beside.joined.bias)
    matrix = randomised(MatrixCross(5, layers=2))
    x = start
    for layer in matrix.layers:
        x = torch.stack([start[n] * (layer.weight @ x[n] + layer.bias) + x[n] for n in range(3)])
    torch.testing.assert_close(matrix(start), x)


def test_dice_is_a_prelu_that_turns_at_the_mean() -> None:
    dice = Dice(2)
    dice.alpha.data[:] = torch.tensor([0.0, 0.3])
    x = torch.randn(50, 2) * 3 + 5
    mean, deviation = x.mean(0), x.std(0, unbiased=False)
    p = torch.sigmoid((x - mean) / deviation)
    torch.testing.assert_close(dice(x), p * x + (1 - p) * torch.tensor([0.0, 0.3]) * x)
    # Far from the mean it is the identity, and a line of slope alpha.
    dice.norm.running_mean[:], dice.norm.running_var[:] = 0, 1e-4
    far = torch.tensor([[9.0, 9.0], [-9.0, -9.0]])
    torch.testing.assert_close(dice.eval()(far), torch.tensor([[9.0, 9.0], [0.0, -2.7]]))
    torch.testing.assert_close(dice.train()(far[:1]), far[:1])


def attention_by_hand(attention: Attention, history: Tensor, candidate: Tensor) -> Tensor:
    """One row without padding, event by event."""
    interest = torch.zeros(history.shape[1])
    for event in history:
        inputs = event @ attention.event + attention.candidate(candidate)
        hidden = attention.dice((inputs + (event * candidate) @ attention.product)[None])
        interest = interest + attention.weight(hidden)[0, 0] * event
    return interest


def test_attention_is_a_weighted_sum_of_what_is_no_padding() -> None:
    attention = randomised(Attention(4, units=3))
    history, candidate = torch.randn(5, 6, 4), torch.randn(5, 4)
    present = torch.rand(5, 6) < 0.5
    present[0], present[1] = True, False
    interest = attention(history, candidate, present)
    for row in range(5):
        expected = attention_by_hand(attention, history[row][present[row]], candidate[row])
        torch.testing.assert_close(interest[row], expected, rtol=1e-4, atol=1e-4)
    assert (interest[1] == 0).all()


def test_din_attends_to_sequences_that_share_a_table_and_averages_the_others() -> None:
    network = DIN(SCHEMA)
    assert [(sequence.name, target.name) for sequence, target in network.pairs] == [("history", "item_id")]
    assert [feature.name for feature in network.embedding.sequences] == ["searches"]


def test_bst_is_self_attention_over_history_and_candidate() -> None:
    config = BSTConfig(embedding_dim=4, heads=1, newest=3)
    transformer = randomised(SequenceTransformer(config)).eval()
    history, candidate = torch.randn(2, 3, 4), torch.randn(2, 4)
    present = torch.tensor([[True, True, True], [False, False, True]])
    states = transformer(history, candidate, present)
    (block,) = transformer.blocks
    attention = block.self_attn
    for row, length in enumerate([3, 1]):
        x = torch.cat([history[row, 3 - length :], candidate[row, None]]) + transformer.position[3 - length :]
        query, key, value = (x @ attention.in_proj_weight.T + attention.in_proj_bias).split(4, dim=1)
        weight = (query @ key.T / 2).softmax(dim=1)
        seen = attention.out_proj(weight @ value)
        x = block.norm1(x + seen)
        x = block.norm2(x + block.linear2(torch.nn.functional.leaky_relu(block.linear1(x))))
        torch.testing.assert_close(states[row, 3 - length :], x)


def test_senet_scales_each_feature_by_a_weight_of_all_means() -> None:
    senet = randomised(SENet(6, reduction=3))
    vectors = torch.randn(4, 6, 8)
    for row in range(4):
        means = vectors[row].mean(1)
        weight = torch.relu(senet.excite.weight @ torch.relu(senet.squeeze.weight @ means))
        torch.testing.assert_close(senet(vectors)[row], weight[:, None] * vectors[row])


def test_bilinear_crosses_of_all_pairs() -> None:
    bilinear = randomised(Bilinear(4, embedding_dim=3))
    vectors = torch.randn(2, 4, 3)
    crosses = bilinear(vectors)
    for pair, (i, j) in enumerate(itertools.combinations(range(4), 2)):
        expected = (vectors[:, i] @ bilinear.weight[i]) * vectors[:, j]
        torch.testing.assert_close(crosses[:, pair], expected)


def test_the_gates_of_ppnet_know_the_user_and_send_no_gradient_to_the_features() -> None:
    network = PPNet(SCHEMA)
    names = [network.embedding.symbolic[number].name for number in network.personal]
    assert names == ["user_id", "history", "searches"]
    batch = small_rows().batch(np.arange(8))
    with torch.no_grad():
        for layer in network.layers:
            layer[0].weight.zero_()  # now only the gates could tell one item from another
    network(batch).sum().backward()
    begin = network.embedding.begin
    grad = network.embedding.table.grad
    assert grad is not None
    assert (grad[begin["hour"] : begin["hour"] + 4] == 0).all()


def test_gates_drop_experts_in_training_alone_and_never_all() -> None:
    gate = Gate(3, experts=4, dropout=0.5)
    x = torch.randn(4000, 3)
    weights = gate(x)
    torch.testing.assert_close(weights.sum(1), torch.ones(4000))
    none_dropped = 0.5**4 * 2  # none drawn, or all drawn and so all kept
    assert abs(float((weights > 0).all(1).float().mean()) - none_dropped) < 0.03
    whole = gate.eval()(x)
    torch.testing.assert_close(whole, gate.logit(x).softmax(1))
    # Those that are left keep their proportions.
    both = (weights[:, 0] > 0) & (weights[:, 1] > 0)
    torch.testing.assert_close((weights[:, 0] / weights[:, 1])[both], (whole[:, 0] / whole[:, 1])[both])


def test_gate_entropy_and_mix() -> None:
    weights = torch.tensor([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    torch.testing.assert_close(gate_entropy(weights), torch.tensor([1.0, 0.0, 0.5]))
    experts = torch.randn(3, 4, 2)
    torch.testing.assert_close(mix(weights, experts)[1], experts[1, 0])
    torch.testing.assert_close(mix(weights, experts)[2], (experts[2, 0] + experts[2, 1]) / 2)


def test_dropout_leaves_out_a_fraction_and_keeps_the_mean() -> None:
    dropout = Dropout(0.25)
    x = torch.ones(1000, 100)
    dropped = dropout(x)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0, 4 / 3]))
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)
    assert not torch.equal(dropout(x), dropped)
    assert torch.equal(dropout.eval()(x), x)
