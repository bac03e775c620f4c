"""Learned prompts: "A photo of a X X X X person.", where the X of each identity are trained vectors."""

import torch
from torch import Tensor, nn

from auxreid.clip.text_tower import TextTower

INIT_STD = 0.02


class PromptLearner(nn.Module):
    """The token vectors of every identity, and the sentence around them.

    Args:
        text: the frozen text tower that reads the sentences.
        identities: how many there are.
        word: the noun of the sentence.
        tokens: learned vectors per identity.
    """

    def __init__(self, text: TextTower, identities: int, word: str, tokens: int = 4):
        import open_clip

        super().__init__()
        ids = open_clip.tokenize([f"A photo of a {' '.join(['X'] * tokens)} {word}."])  # [1, 77]
        end = int(ids.argmax(dim=-1))
        start = 5  # start token, "a", "photo", "of", "a"
        with torch.no_grad():
            embedded = text.embed(ids[:, : end + 1])  # [1, end + 1, d]
        self.register_buffer("before", embedded[:, :start].clone(), persistent=False)
        self.register_buffer("after", embedded[:, start + tokens :].clone(), persistent=False)
        self.learned = nn.Parameter(torch.randn(identities, tokens, embedded.shape[2]) * INIT_STD)  # [k, tokens, d]
        self.end = end

    def forward(self, identities: Tensor) -> tuple[Tensor, Tensor]:
        """Identities [b] -> embedded sentences [b, l, d], cut behind the end token, and the end's place [b]."""
        b = len(identities)
        parts = [self.before.expand(b, -1, -1), self.learned[identities], self.after.expand(b, -1, -1)]
        return torch.cat(parts, dim=1), torch.full((b,), self.end, device=identities.device)
