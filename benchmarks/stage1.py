"""Stage 1 at CLIP's real size (512 wide, 12 layers): steps with the cut text tower against all 77 positions.

    python benchmarks/stage1.py

Both take the same batches of 64 images of 200 identities; losses and gradients must agree to 1e-4 before a time is
printed.
"""

import time

import open_clip
import torch
from open_clip.transformer import TextTransformer

from auxreid.clip.text_tower import TextTower
from auxreid.clipreid.attribute_targets import contrastive_identity
from auxreid.clipreid.losses import contrastive
from auxreid.clipreid.placeholders import PLACEHOLDER_TOKEN, plain_sentence
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.stage1 import batch_texts

IDENTITIES, BATCH, STEPS, TOKENS = 200, 64, 2, 4


def untruncated(model: TextTransformer, learned: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
    """The reference: every position of every image's sentence, by open_clip's modules. [b] -> [b, e]"""
    tokens = open_clip.tokenize([plain_sentence("person", TOKENS)])
    embedded = model.token_embedding(tokens).repeat(len(identities), 1, 1)
    embedded[:, tokens[0] == PLACEHOLDER_TOKEN] = learned[identities]
    x = model.transformer(embedded + model.positional_embedding, attn_mask=model.attn_mask)
    return model.ln_final(x)[:, int(tokens.argmax())] @ model.text_projection


def main() -> None:
    """Print one line: seconds a step of both, and their ratio."""
    torch.manual_seed(0)
    model = TextTransformer(width=512, heads=8, layers=12, output_dim=1024)
    model.init_parameters()
    text = TextTower(model.requires_grad_(False).eval())
    prompts = PromptLearner(text, [plain_sentence("person", TOKENS)] * IDENTITIES)
    batches = [(torch.randn(BATCH, 1024) * 0.1, torch.randint(IDENTITIES, (BATCH,))) for _ in range(STEPS)]
    methods = {
        "untruncated": lambda identities: untruncated(model, prompts.learned, identities),
        "ours": lambda identities: batch_texts(text, prompts, identities),
    }
    seconds, results = {}, {}
    for name, texts_of in methods.items():
        started, results[name] = time.perf_counter(), []
        for images, identities in batches:
            prompts.zero_grad()
            loss = sum(contrastive(images, texts_of(identities), contrastive_identity(identities)))
            loss.backward()
            results[name] += [loss.detach(), prompts.learned.grad.clone()]
        seconds[name] = (time.perf_counter() - started) / STEPS
    for slow, fast in zip(results["untruncated"], results["ours"], strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)
    print(
        f"stage 1, 512 wide, 12 layers, batch {BATCH}: untruncated {seconds['untruncated']:.2f} s a step, ours "
        f"{seconds['ours']:.2f} s, {seconds['untruncated'] / seconds['ours']:.1f} times faster, equal gradients"
    )


if __name__ == "__main__":
    main()
