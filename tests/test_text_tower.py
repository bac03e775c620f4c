"""The cut text tower and the once-per-identity encoding against open_clip's full computation."""

import open_clip
import pytest
import torch
from open_clip.transformer import TextTransformer

from auxreid.clip.text_tower import TextTower
from auxreid.clipreid.attribute_targets import contrastive_identity
from auxreid.clipreid.losses import contrastive
from auxreid.clipreid.placeholders import plain_sentence
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.stage1 import batch_texts, text_features

IDENTITIES = torch.tensor([3, 0, 3, 1, 3, 0])  # identities stand several times in a batch


@pytest.fixture(scope="module")
def full() -> TextTransformer:
    torch.manual_seed(0)
    model = TextTransformer(width=64, heads=4, layers=3, output_dim=32)
    model.init_parameters()
    return model.eval()


@pytest.fixture
def prompts(full) -> PromptLearner:
    torch.manual_seed(1)
    return PromptLearner(TextTower(full).requires_grad_(False), [plain_sentence("person", 4)] * 4)


def untruncated(full: TextTransformer, learned: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
    """All 77 positions of every sentence of the batch, one sentence per image, by open_clip's modules."""
    tokens = open_clip.tokenize(["A photo of a X X X X person."])
    embedded = full.token_embedding(tokens).expand(len(identities), -1, -1)
    embedded = torch.cat([embedded[:, :5], learned[identities], embedded[:, 9:]], dim=1)  # [b, 77, d]
    x = full.transformer(embedded + full.positional_embedding, attn_mask=full.attn_mask)
    return full.ln_final(x)[:, int(tokens.argmax())] @ full.text_projection


def test_plain_sentences_equal_open_clip(full):
    tokens = open_clip.tokenize(["a dog", "a photo of a person wearing a red top with short sleeves"])
    torch.testing.assert_close(TextTower(full)(tokens), full(tokens), atol=1e-5, rtol=1e-5)


def test_stage1_features_and_gradients_equal_the_untruncated_tower(full, prompts):
    text = TextTower(full)
    images = torch.randn(len(IDENTITIES), 32, generator=torch.Generator().manual_seed(2))
    reference = prompts.learned.detach().clone().requires_grad_()
    texts = untruncated(full, reference, IDENTITIES)
    sum(contrastive(images, texts, contrastive_identity(IDENTITIES))).backward()
    ours = batch_texts(text, prompts, IDENTITIES)
    sum(contrastive(images, ours, contrastive_identity(IDENTITIES))).backward()
    torch.testing.assert_close(ours, texts, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(prompts.learned.grad, reference.grad, atol=1e-5, rtol=1e-5)
    assert prompts.learned.grad[2].abs().max() == 0  # an identity that is not in the batch


def test_end_token_is_where_the_sentence_ends(prompts):
    embedded, end = prompts(torch.tensor([0, 1]))
    assert embedded.shape == (2, 12, 64) and end.tolist() == [11, 11]  # the thesis's prompt is 12 of 77 positions


def test_text_features_of_all_identities(full, prompts):
    text = TextTower(full)
    every = text_features(text, prompts, batch_size=3)
    torch.testing.assert_close(every[IDENTITIES], untruncated(full, prompts.learned, IDENTITIES), atol=1e-5, rtol=1e-5)


def test_learned_tokens_in_sentences_of_different_lengths_equal_the_untruncated_tower(full):
    sentences = [
        "A photo of a X X dog.",
        "A photo of a large black dog with drop ears: a X X dog.",
        "A photo of a X X dog.",
    ]
    text, identities = TextTower(full), torch.tensor([1, 0, 2, 1])
    torch.manual_seed(3)
    prompts = PromptLearner(text, sentences)
    for row, identity in enumerate(identities.tolist()):
        tokens = open_clip.tokenize([sentences[identity]])
        embedded = full.token_embedding(tokens).detach().clone()
        embedded[0, tokens[0] == 343] = prompts.learned[identity]  # the token of "x"
        x = full.transformer(embedded + full.positional_embedding, attn_mask=full.attn_mask)
        expected = full.ln_final(x)[0, int(tokens.argmax())] @ full.text_projection
        torch.testing.assert_close(text.encode(*prompts(identities))[row], expected, atol=1e-5, rtol=1e-5)


def test_sentences_with_different_numbers_of_placeholders_are_refused(full):
    with pytest.raises(ValueError, match=r"\[1, 2\] placeholders"):
        PromptLearner(TextTower(full), ["A photo of a X dog.", "A photo of a X X dog."])
