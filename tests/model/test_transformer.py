"""A Transformer against its equations in plain loops, and its cache."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from dragoman.data.batches import make_batch
from dragoman.model.embedding import Embedding
from dragoman.model.output import Objective
from dragoman.model.seq2seq import Seq2Seq
from dragoman.model.transformer.decoder import TransformerDecoder
from dragoman.model.transformer.encoder import Layer, MultiHeadAttention, TransformerEncoder
from tiny import BATCH, GROUP, HIDDEN, TARGET, TRANSFORMER, tiny_model

HEADS, DEPTH = GROUP.heads, HIDDEN // GROUP.heads
OPTIONS = {**TRANSFORMER, "embedding": HIDDEN}


def normed(x: Tensor, norm: torch.nn.LayerNorm) -> Tensor:
    """Mean 0 and variance 1 (Ba et al. 2016), [H] -> [H]."""
    centred = x - x.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias


def at_position(vector: Tensor, position: int) -> Tensor:
    """Vaswani 2017, sections 3.4 and 3.5, value by value."""
    half = HIDDEN // 2
    waves = []
    for i in range(HIDDEN):
        angle = position / 10_000 ** (2 * (i % half) / HIDDEN)
        waves.append(math.sin(angle) if i < half else math.cos(angle))
    return vector * math.sqrt(HIDDEN) + torch.tensor(waves, dtype=vector.dtype)


def attention(query: Tensor, keys: list[Tensor], values: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Equation 1, head by head: the context [H], and the mean weights [S]."""
    contexts, weights = [], []
    for head in range(HEADS):
        own = slice(head * DEPTH, (head + 1) * DEPTH)
        energies = [(query[own] * key[own]).sum() / math.sqrt(DEPTH) for key in keys]
        shares = torch.stack([energy.exp() for energy in energies])
        shares = shares / shares.sum()
        contexts.append(sum(w * value[own] for w, value in zip(shares, values, strict=True)))
        weights.append(shares)
    return torch.cat(contexts), torch.stack(weights).mean(0)


def add_feed_forward(x: Tensor, layer: Layer) -> Tensor:
    inner = layer.feed_in(normed(x, layer.feed_norm)).clamp(min=0)
    return x + layer.feed_out(inner)


def self_parts(layer: Layer, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = layer.self_in(normed(x, layer.self_norm)).split(HIDDEN)
    return query, key, value


def naive_encoding(encoder: TransformerEncoder, source: Tensor) -> list[Tensor]:
    """The states of one sentence without padding."""
    rows = [at_position(encoder.embedding.weight[i], n) for n, i in enumerate(source.tolist())]
    for layer in encoder.layers:
        parts = [self_parts(layer, x) for x in rows]
        keys, values = [key for _, key, _ in parts], [value for _, _, value in parts]
        found = [attention(query, keys, values)[0] for query, _, _ in parts]
        rows = [x + layer.self_out(context) for x, context in zip(rows, found, strict=True)]
        rows = [add_feed_forward(x, layer) for x in rows]
    return [normed(x, encoder.norm) for x in rows]


def naive_decoding(
    decoder: TransformerDecoder, states: list[Tensor], target: Tensor
) -> tuple[Tensor, Tensor]:
    """Features [T, H] of one target, and the last layer's mean weights [T, S]."""
    rows = [at_position(decoder.embedding.weight[i], n) for n, i in enumerate(target.tolist())]
    weights: list[Tensor] = []
    for number, layer in enumerate(decoder.layers):
        start = 2 * HIDDEN * number
        both = [decoder.memory(state)[start : start + 2 * HIDDEN].split(HIDDEN) for state in states]
        parts, weights, after = [self_parts(layer, x) for x in rows], [], []
        for t, x in enumerate(rows):
            before = parts[: t + 1]
            context, _ = attention(parts[t][0], [p[1] for p in before], [p[2] for p in before])
            y = x + layer.self_out(context)
            query = layer.cross_in(normed(y, layer.cross_norm))
            context, looked = attention(query, [k for k, _ in both], [v for _, v in both])
            weights.append(looked)
            after.append(add_feed_forward(y + layer.cross_out(context), layer))
        rows = after
    return torch.stack([normed(x, decoder.norm) for x in rows]), torch.stack(weights)


def naive(model: Seq2Seq, source: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Features [B, T, H], and weights [B, T, S] that are zero on padding."""
    features, weights = [], []
    for ids, real, words in zip(source, mask, target, strict=True):
        states = naive_encoding(model.encoder, ids[real])  # type: ignore[arg-type]
        found, looked = naive_decoding(model.decoder, states, words)  # type: ignore[arg-type]
        features.append(found)
        weights.append(F.pad(looked, (0, len(ids) - looked.shape[1])))
    return torch.stack(features), torch.stack(weights)


def test_features_and_weights_are_those_of_the_equations(
    source: Tensor, mask: Tensor, target: Tensor
) -> None:
    model = tiny_model(**OPTIONS)
    with torch.no_grad():
        memory, start = model.encode(source, mask)
        features, looked = model.decoder.unroll(target, start, memory)
        wanted, weights = naive(model, source, mask, target)
        _, _, first = model.decoder.stepper(memory)(target[:, 0], start)
    torch.testing.assert_close(features, wanted, rtol=0, atol=1e-10)
    torch.testing.assert_close(first, weights[:, 0], rtol=0, atol=1e-10)
    torch.testing.assert_close(looked, weights, rtol=0, atol=1e-10)


def test_gradients_are_those_of_the_equations(source: Tensor, mask: Tensor, target: Tensor) -> None:
    model, answers = tiny_model(**OPTIONS), target.roll(-1, 1)
    real = torch.arange(TARGET) < torch.tensor([TARGET, 1, 5, 2, 8]).unsqueeze(1)
    model(make_batch(source, mask, target, answers, real), Objective()).total.backward()
    ours = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    scores = model.output(naive(model, source, mask, target)[0])
    F.nll_loss(scores[real], answers[real], reduction="sum").backward()
    wanted = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert ours.keys() == wanted.keys() == dict(model.named_parameters()).keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(ours[name], gradient, rtol=0, atol=1e-8, msg=name)


def test_bf16_learns_nearly_the_same(source: Tensor, mask: Tensor, target: Tensor) -> None:
    real, found = torch.ones_like(target, dtype=torch.bool), []
    for low in (False, True):
        model = tiny_model(torch.float32, **OPTIONS)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            batch = make_batch(source, mask, target, target.roll(-1, 1), real)
            loss = model(batch, Objective())
        loss.total.backward()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append((loss.total.detach(), torch.cat(gradients)))
    (fine, wanted), (coarse, gradient) = found
    torch.testing.assert_close(coarse, fine, rtol=0.01, atol=0)
    assert float(torch.cosine_similarity(gradient, wanted, 0)) > 0.99


def test_hypotheses_of_different_ages_are_stepped_together(
    source: Tensor, mask: Tensor, target: Tensor
) -> None:
    """The first two sentences have read 20 tokens, the others 3; each goes on as if alone."""
    model = tiny_model(**OPTIONS)
    words = target.repeat(1, 2)[:, :21]
    with torch.no_grad():
        memory, start = model.encode(source, mask)
        alone = []
        for rows, tokens in ((torch.arange(2), 20), (torch.arange(2, BATCH), 3)):
            state, own = start.select(rows), memory.select(rows)
            for token in words[rows, :tokens].unbind(1):
                _, state, _ = model.decoder.stepper(own)(token, state)
            alone.append((state, model.decoder.stepper(own)(words[rows, tokens], state)[0]))
        (old, _), (young, _) = alone
        last = torch.cat((words[:2, 20], words[2:, 3]))
        found, after, _ = model.decoder.stepper(memory)(last, old.join(young))
    torch.testing.assert_close(found, torch.cat([one for _, one in alone]), rtol=0, atol=1e-12)
    assert after.lengths.tolist() == [21, 21, 4, 4, 4]
    assert after.past.shape[2] == 21 and after.select(torch.tensor([2, 3])).past.shape[0] == 2


def test_dropout_is_everywhere_and_only_in_training(
    source: Tensor, mask: Tensor, target: Tensor
) -> None:
    """Each of the three places changes the features by itself."""
    still = tiny_model(**OPTIONS)
    usual = still.decoder.unroll(target, *reversed(still.encode(source, mask)))[0]
    for place in (Embedding, Layer, MultiHeadAttention):
        model = tiny_model(**{**OPTIONS, "dropout": 0.5})
        for module in model.modules():
            if hasattr(module, "dropout") and not isinstance(module, place):
                module.dropout = 0.0
        for training in (False, True):
            model.train(training)
            memory, start = model.encode(source, mask)
            features, _ = model.decoder.unroll(target, start, memory)
            assert torch.allclose(features, usual) is not training
