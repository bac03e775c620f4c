"""A CLIP's text tower that reads descriptions in English."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from auxreid.clip.checkpoints import TowerHeader, load_text_tower
from auxreid.clip.text_tower import encode_tokens
from auxreid.plumbing.base.tensor_file import read_about

BEGINNING = "a photo of "  # as the captions that the tower has learnt from begin


class TextReader:
    """The text tower of a file. Several threads may read at the same time.

    Raises:
        DataError: as load_text_tower.
    """

    def __init__(self, path: Path, precision: str):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tower, self.precision = load_text_tower(path).requires_grad_(False).to(device), precision

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Of n descriptions, "a small dog with erect ears", float32 [n, e] of unit length; a long one is cut where the
        tower ends."""
        import open_clip

        tokens = open_clip.tokenize([BEGINNING + text for text in texts])
        return F.normalize(encode_tokens(self.tower, tokens, self.precision)).numpy()


def why_missing(path: Path) -> str:
    """Why a file of stage `pretrain` holds no text tower; empty where it holds one.

    Raises:
        DataError: it is not there, or broken.
    """
    about, names = read_about(path, "text tower")
    return "" if names else TowerHeader.model_validate_json(about).remark
