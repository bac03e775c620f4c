"""CLIP's text tower, run only as far as a sentence goes.

The transformer is causal and a sentence is read at its end token, so positions after that token change nothing: an
input cut behind the last end token of the batch gives the same features and gradients at a fraction of the cost.
"""

import torch
from torch import Tensor, nn

from auxreid.training.precision import lengthened, tower_precision


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
        """Token embeddings [b, l, d], cut behind the last end token, and the place of each end token [b] -> [b, e]."""
        length = embedded.shape[1]
        x = embedded + self.positional_embedding[:length]
        x = self.transformer(x, attn_mask=self.attn_mask[:length, :length])
        x = self.ln_final(x[torch.arange(x.shape[0], device=x.device), end])  # [b, d]
        return x @ self.text_projection

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids [b, l], end token highest as in CLIP's vocabulary -> text features [b, e]; see :func:`cut`."""
        return self.encode(self.embed(tokens), tokens.argmax(dim=-1))


def cut(tokens: Tensor) -> Tensor:
    """Token ids [b, l] without the columns behind the last end token.

    To be called on the host, before they are sent: a GPU would have to be waited for to learn the length.
    """
    return tokens[:, : int(tokens.argmax(dim=-1).max()) + 1]


@torch.no_grad()
def encode_tokens(text: TextTower, tokens: Tensor, precision: str, batch_size: int = 256) -> Tensor:
    """Text features [n, e], float32 on the CPU, of token ids [n, l] on the host; the tower is left in eval mode."""
    device, text = text.text_projection.device, text.eval()
    with tower_precision(precision, device):
        return torch.cat([lengthened(text(cut(part).to(device))) for part in tokens.split(batch_size)]).cpu()
