"""Stage 1 at CLIP's real size (512 wide, 12 layers): steps with the cut text tower against all 77 positions.

    python benchmarks/stage1.py [--width 512] [--layers 12] [--batch 64]

Both take the same batches of images of 200 identities; losses and gradients must agree to 1e-4.
"""

import time

import open_clip
import torch
from open_clip.transformer import TextTransformer
from result import Asked, Row, finish, times
from sizes import read_sizes

from auxreid.clip.text_tower import TextTower
from auxreid.clipreid.attribute_targets import contrastive_identity
from auxreid.clipreid.losses import contrastive
from auxreid.clipreid.placeholders import PLACEHOLDER_TOKEN, plain_sentence
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.stage1 import batch_texts

WIDTH, LAYERS, HEAD_WIDTH, EMBED_DIM = 512, 12, 64, 1024  # CLIP RN50's text tower
IDENTITIES, BATCH, STEPS, TOKENS = 200, 64, 2, 4
LEAST_RATIO, TOLERANCE = 5, 1e-4


def untruncated(model: TextTransformer, learned: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
    """The reference: every position of every image's sentence, by open_clip's modules. [b] -> [b, e]"""
    tokens = open_clip.tokenize([plain_sentence("person", TOKENS)]).to(learned.device)
    embedded = model.token_embedding(tokens).repeat(len(identities), 1, 1)
    embedded[:, tokens[0] == PLACEHOLDER_TOKEN] = learned[identities]
    x = model.transformer(embedded + model.positional_embedding, attn_mask=model.attn_mask)
    return model.ln_final(x)[:, int(tokens.argmax())] @ model.text_projection


def largest_difference(results: list[torch.Tensor], references: list[torch.Tensor]) -> float:
    """Absolute where a value is small and relative where it is large: |a - b| / (1 + |b|)."""
    pairs = zip(results, references, strict=True)
    return max(float(((result - reference).abs() / (1 + reference.abs())).max()) for result, reference in pairs)


def train(prompts: PromptLearner, texts_of, batches) -> tuple[float, list[torch.Tensor]]:
    """Seconds a step, and the loss and the gradient of every step."""
    started, results = time.perf_counter(), []
    for images, identities in batches:
        prompts.zero_grad()
        loss = sum(contrastive(images, texts_of(identities), contrastive_identity(identities)))
        loss.backward()
        results += [loss.detach(), prompts.learned.grad.clone()]
    return (time.perf_counter() - started) / len(batches), results


def rows(width: int = WIDTH, layers: int = LAYERS, batch: int = BATCH) -> list[Row]:
    """Seconds a step of both, and their ratio."""
    torch.manual_seed(0)
    model = TextTransformer(width=width, heads=width // HEAD_WIDTH, layers=layers, output_dim=EMBED_DIM)
    model.init_parameters()
    text = TextTower(model.requires_grad_(False).eval())
    prompts = PromptLearner(text, [plain_sentence("person", TOKENS)] * IDENTITIES)
    batches = [(torch.randn(batch, EMBED_DIM) * 0.1, torch.randint(IDENTITIES, (batch,))) for _ in range(STEPS)]
    slow, expected = train(prompts, lambda identities: untruncated(model, prompts.learned, identities), batches)
    fast, found = train(prompts, lambda identities: batch_texts(text, prompts, identities.numpy()), batches)
    difference = largest_difference(found, expected)
    asked = Asked("ratio", slow / fast, least=LEAST_RATIO), Asked("difference", difference, most=TOLERANCE)
    measured = f"stage 1 step, {width} wide, {layers} layers, batch {batch}"
    remark = f"equal losses and gradients, to {difference:.0e}"
    figures = f"{slow:.2f} s", f"{fast:.2f} s", times(slow, fast)
    return [Row(measured, "all 77 positions", *figures, asked, remark)]


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, width=WIDTH, layers=LAYERS, batch=BATCH)))
