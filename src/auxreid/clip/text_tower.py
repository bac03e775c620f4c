"""CLIP's text tower, run only as far as a sentence goes.

The transformer is causal and a sentence is read at its end token, so positions after that token change nothing: an
input cut behind the last end token of the batch gives the same features and gradients at a fraction of the cost.
"""

import torch
from torch import Tensor, nn


class TextTower(nn.Module):
    """Text transformer of an open_clip model; `dim` is the width of its output."""

    def __init__(self, source: nn.Module):
        """`source` is open_clip's CLIP or TextTransformer: both hold these parts under the same names."""
        super().__init__()
        self.token_embedding = source.token_embedding
        self.positional_embedding = source.positional_embedding
        self.transformer = source.transformer
        self.ln_final = source.ln_final
        self.text_projection = source.text_projection
        self.register_buffer("attn_mask", source.attn_mask, persistent=False)
        self.dim = self.text_projection.shape[1]

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids [b, l] -> token embeddings [b, l, d], without positions."""
        return self.token_embedding(tokens)

    def encode(self, embedded: Tensor, end: Tensor) -> Tensor:
        """Token embeddings [b, l, d] and the place of each end token [b] -> text features [b, e].

        Only positions up to the last end token are computed.
        """
        length = int(end.max()) + 1
        x = embedded[:, :length] + self.positional_embedding[:length]
        x = self.transformer(x, attn_mask=self.attn_mask[:length, :length])
        x = self.ln_final(x[torch.arange(x.shape[0], device=x.device), end])  # [b, d]
        return x @ self.text_projection

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids [b, l], end token highest as in CLIP's vocabulary -> text features [b, e]."""
        return self.encode(self.embed(tokens), tokens.argmax(dim=-1))
