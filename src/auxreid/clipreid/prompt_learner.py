"""Learned prompts: sentences such as "A photo of a X X X X person.", in which each identity's X are trained vectors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from auxreid.clip.text_tower import TextTower
from auxreid.clipreid.placeholders import placeholder_places

INIT_STD = 0.02


class PromptLearner(nn.Module):
    """The token vectors of every identity, and the sentences around them.

    Args:
        text: the frozen text tower that reads the sentences.
        sentences: one per identity [k], each with the same number of placeholders; equal ones are kept once.

    Raises:
        ValueError: the sentences have different numbers of placeholders, or one has none or does not fit the tower.
    """

    def __init__(self, text: TextTower, sentences: Sequence[str]):
        import open_clip

        super().__init__()
        distinct = sorted(set(sentences))
        ids = open_clip.tokenize(distinct)  # [s, 77]
        places = [placeholder_places(one) for one in ids]
        if len({len(one) for one in places}) > 1:
            raise ValueError(f"{sorted({len(one) for one in places})} placeholders, every sentence needs as many")
        ends = ids.argmax(dim=-1)  # [s]
        with torch.no_grad():
            embedded = text.embed(ids[:, : int(ends.max()) + 1])  # [s, l, d]
        numbers = {sentence: number for number, sentence in enumerate(distinct)}
        kept = {
            "embedded": embedded.clone(),
            "sentence": torch.tensor([numbers[sentence] for sentence in sentences]),  # [k]
            "places": torch.tensor(places),  # [s, tokens]
            "ends": ends,
        }
        for name, tensor in kept.items():
            self.register_buffer(name, tensor, persistent=False)
        self.lengths = (ends[kept["sentence"]] + 1).numpy()  # [k], on the host: how far each sentence is read
        self.learned = nn.Parameter(
            torch.randn(len(sentences), len(places[0]), embedded.shape[2]) * INIT_STD
        )  # [k, tokens, d]

    def forward(self, identities: np.ndarray) -> tuple[Tensor, Tensor]:
        """Identities [b] -> embedded sentences [b, l, d], cut behind the last end token, and the ends' places [b]."""
        length = self.lengths[identities].max()
        identities = torch.as_tensor(identities).to(self.learned.device, non_blocking=True)
        sentence = self.sentence[identities]
        ends = self.ends[sentence]
        embedded = self.embedded[sentence, :length]  # [b, l, d], a copy
        places = self.places[sentence].unsqueeze(-1).expand(-1, -1, embedded.shape[2])  # [b, tokens, d]
        return embedded.scatter(1, places, self.learned[identities]), ends
