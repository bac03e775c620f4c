"""Training of a metric row: what it starts as, who is held out, when it stops, and what is chosen."""

import numpy as np
import pytest
import torch
from metric_sets import SETTINGS, metric_row, small_set, two_sided
from torch import nn
from torch.nn import functional as F

from auxreid.metric.backbone import train_last
from auxreid.metric.by_individual import by_individual
from auxreid.metric.choice import UNTOUCHED, Gain, Validation, choose, gain
from auxreid.metric.features import Features, load_features, metric_frames, save_features
from auxreid.metric.row import make_row, make_task
from auxreid.metric.train import KeptFeatures, Task, train
from auxreid.metric.validation import HeldOut, average_precisions, cross_validate, deal_folds
from auxreid.plumbing.base.errors import DataError


def cosines(embeddings) -> torch.Tensor:
    return embeddings @ embeddings.T


def silent(*_):
    """Where training reports to."""


# who is held out


def test_folds_part_individuals_evenly_and_never_an_individual():
    identity = np.repeat(np.arange(11), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6])
    folds = deal_folds(identity, 4, seed=3)
    assert all(len(set(folds[identity == who])) == 1 for who in range(11))
    sizes = [len(set(identity[folds == fold])) for fold in range(4)]
    assert sorted(sizes) == [2, 3, 3, 3]
    assert set(deal_folds(identity[:8], 9, seed=0)) == {0, 1}  # two individuals of each at least
    assert (deal_folds(identity, 4, 0) != deal_folds(identity, 4, 1)).any()


def test_a_training_sees_no_image_of_a_held_out_individual(tmp_path):
    data = small_set(tmp_path)
    known = np.flatnonzero((data.frames.split == "train") & (data.frames.identity > 0))
    fold = known[deal_folds(data.frames.identity[known], 3, 0) == 0]
    rest = np.setdiff1d(known, fold)
    unknown = np.flatnonzero(data.frames.identity < 0)
    for row in (metric_row("arcface"), metric_row("unicom", classes="clusters", clusters=3)):
        task = make_task(row, data, rest, unknown[::2], seed=0)
        seen = data.features.seen[task.places]
        assert not set(data.frames.identity[seen]) & set(data.frames.identity[fold])
        assert task.labels.min() == 0 and len(task.labels) == len(seen)
        assert set(data.frames.split[seen]) == {"train"}
        assert (row.classes == "clusters") == bool((data.frames.identity[seen] < 0).any())


def test_held_out_images_ask_for_each_other_among_distractors(tmp_path):
    """Two individuals along two axes, three images each; a distractor nearer to one image than its own."""
    data = small_set(tmp_path)
    rows = np.flatnonzero(np.isin(data.frames.identity, [1, 2]))
    unknown = np.flatnonzero(data.frames.identity < 0)[:1]
    embeddings = np.zeros((len(data.frames), 2), np.float32)
    embeddings[data.frames.identity == 1] = [1, 0]
    embeddings[data.frames.identity == 2] = [0, 1]
    alone, _ = average_precisions(data.frames, embeddings, HeldOut(rows, unknown[:0]), "dogs")
    assert alone.tolist() == [1.0] * len(rows)
    embeddings[unknown] = [1, 0]  # a tie goes to the wrong match
    found, identity = average_precisions(data.frames, embeddings, HeldOut(rows, unknown), "dogs")
    matches = (data.frames.identity == 1).sum() - 1
    wanted = np.mean([k / (k + 1) for k in range(1, matches + 1)])
    assert found[identity == 1] == pytest.approx([wanted] * (matches + 1))
    assert found[identity == 2].tolist() == [1.0] * (identity == 2).sum()


def test_validation_stops_when_patience_is_over_and_takes_the_best_epoch(tmp_path):
    data = small_set(tmp_path)
    rows = np.flatnonzero(np.isin(data.frames.identity, [1, 2]))
    good = F.one_hot(torch.from_numpy(np.maximum(data.frames.identity, 0))).float()
    qualities = [0.9, 0.5, 0.0, 0.5, 0.9, 0.0, 0.0]  # of noise, per epoch
    torch.manual_seed(0)
    noise = torch.randn_like(good)
    epochs = [F.normalize((1 - q) * good + q * noise) for q in qualities]
    logged = []
    folds, report = [HeldOut(rows, rows[:0])], lambda values, epoch: logged.append(epoch)
    found = cross_validate([iter(epochs)], folds, data.frames, epochs[0].numpy(), "dogs", 2, report)
    assert found.epoch == 2 and len(found.curve) == 5 and logged == [0, 1, 2, 3, 4]
    assert np.nanmean(found.precision) == found.curve[2] == 1.0 > found.curve[0] == np.nanmean(found.untouched)


# training


@pytest.mark.parametrize("loss", [None, "arcface", "whitening"])
def test_every_row_begins_as_the_encoder_that_nobody_touched(tmp_path, loss):
    data = small_set(tmp_path)
    task = Task(np.arange(6), np.array([0, 0, 1, 1, 2, 2]))
    inputs = KeptFeatures(data.features)
    first = next(train(metric_row(loss), SETTINGS, data.features, inputs, task, None, seed=0))
    made = inputs.embed(first.model, np.arange(len(data.frames)))
    assert torch.allclose(cosines(made), cosines(data.features.plain), atol=1e-5) and not first.losses


def test_strong_stay_keeps_the_layer_and_a_weak_one_lets_it_go(tmp_path):
    data, moved = small_set(tmp_path), []
    task = Task(np.arange(6), np.array([0, 0, 1, 1, 2, 2]))
    for stay in (1000.0, 0.0):
        settings = SETTINGS.replaced({"stay": stay, "epochs": 15, "lr": 1e-3})
        training = train(metric_row("arcface"), settings, data.features, KeptFeatures(data.features), task, None, 0)
        *_, last = training
        moved.append(last.losses["moved"])
    assert moved[0] < 0.5 * moved[1]


def test_a_row_finds_the_direction_in_which_individuals_differ(tmp_path):
    """Individuals differ in small components only, images of one in large ones: the encoder as it is ranks badly."""
    data = two_sided(tmp_path)
    for loss, least in (("whitening", 0.1), ("verification", 0.02)):
        made = make_row(metric_row(loss), SETTINGS.replaced({"lr": 1e-2, "stay": 0.0, "epochs": 20}), data, 0, silent)
        assert made.validated.curve[made.validated.epoch] > made.validated.curve[0] + least, loss
        again = make_row(metric_row(loss), SETTINGS.replaced({"lr": 1e-2, "stay": 0.0, "epochs": 20}), data, 0, silent)
        assert torch.equal(made.embeddings, again.embeddings)
        assert torch.allclose(made.embeddings.norm(dim=1), torch.ones(len(data.frames)), atol=1e-5)


def test_a_row_that_validation_finds_harmful_ends_as_the_untouched_encoder(tmp_path):
    """A learning rate that throws everything about, on features that are perfect."""
    data = small_set(tmp_path)
    perfect = F.one_hot(torch.from_numpy(np.maximum(data.frames.identity, 0)), 12).float()
    perfect = Features(perfect, perfect[data.features.seen][None], data.features.seen)
    made = make_row(metric_row("triplet"), SETTINGS.replaced({"lr": 5.0}), data.with_features(perfect), 0, silent)
    assert made.validated.epoch == 0
    assert torch.allclose(cosines(made.embeddings), cosines(perfect.plain), atol=1e-4)


def test_a_shorter_embedding_is_compared_with_all_that_the_encoder_has(tmp_path):
    data = small_set(tmp_path)
    whole = make_row(metric_row(None), SETTINGS, data, 0, silent).validated
    short = make_row(metric_row("triplet"), SETTINGS.replaced({"embed_dim": 2, "epochs": 1}), data, 0, silent).validated
    assert short.curve[0] != whole.curve[0]
    assert np.allclose(short.untouched, whole.precision, equal_nan=True)


def test_a_part_of_the_encoder_is_trained_and_the_rest_stays(tmp_path):
    data = small_set(tmp_path, backbone=True)
    before = {name: value.clone() for name, value in data.backbone.state_dict().items()}
    settings = SETTINGS.replaced({"epochs": 2, "patience": 5, "backbone_lr": 1e-2, "folds": 2})
    row = metric_row("identity", trained=0.9)
    last = make_row(row, settings, data, 0, silent)
    assert all(torch.equal(before[name], value) for name, value in data.backbone.state_dict().items())  # a copy learns
    if last.validated.epoch:
        own = last.model.backbone.state_dict()
        changed = [name for name in before if not torch.equal(before[name], own[name])]
        assert changed and "0.weight" not in changed
    assert last.embeddings.shape[0] == len(data.frames)


def test_the_last_parameters_are_trained_up_to_a_share():
    network = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    for share, wanted in ((0.0, []), (0.2, [2]), (0.6, [1, 2]), (0.99, [1, 2]), (1.0, [0, 1, 2])):
        trained = train_last(network, share)
        assert [id(one) for one in trained] == [id(network[number].weight) for number in wanted]
        assert [one.weight.requires_grad for one in network] == [number in wanted for number in range(3)]


# which frames


def test_too_few_individuals_are_said_and_unknown_images_are_drawn(tmp_path):
    data = small_set(tmp_path)
    with pytest.raises(DataError, match=r"2 known individuals in train and val; a metric model needs 4 at least"):
        metric_frames(data.frames.take(data.frames.identity <= 2), 0)
    assert (metric_frames(data.frames, 3).identity < 0).sum() == 3


def test_features_come_back_with_their_frames(tmp_path):
    data = small_set(tmp_path)
    path = tmp_path / "key/features.safetensors"
    part = metric_frames(data.frames, 2)
    seen = np.flatnonzero(part.split == "train")
    save_features(path, Features(torch.ones(len(part), 3), torch.ones(2, len(seen), 3), seen), part.frame_id)
    features, frames = load_features(path, data.frames)
    assert frames.frame_id.tolist() == part.frame_id.tolist() and features.seen.tolist() == seen.tolist()
    with pytest.raises(DataError, match="dvc repro metric_features@other"):
        load_features(tmp_path / "other/features.safetensors", data.frames)


# the choice


def test_values_of_individuals_have_the_queries_mean():
    values, identity = np.array([1.0, 0.0, 0.5, np.nan, 0.5]), np.array([7, 7, 7, 7, 9])
    found = by_individual([values, values[:3]], [identity, identity[:3]])
    assert found[0].mean() == pytest.approx(0.5) and found[0].tolist() == [0.5, 0.5]
    assert found[1, 0] == pytest.approx(0.5) and np.isnan(found[1, 1])
    harder = by_individual([np.array([1.0, 1.0, 1.0, 0.0])], [np.array([1, 1, 1, 2])])
    assert harder[0] == pytest.approx([0.75 + 0.5 * 0.75, 0.75 - 0.5 * 0.75])


def test_a_row_is_chosen_only_if_it_is_above_by_more_than_an_error():
    assert choose({"a": Gain(0.9, 0.02, 0.03), "b": Gain(0.7, 0.02, 0.01)}) == "b"
    assert choose({"other_folds": Gain(0.6, 0.03, 0.01), "b": Gain(0.7, 0.02, 0.01)}) == "other_folds"
    assert choose({"a": Gain(0.9, 0.02, 0.03), UNTOUCHED: Gain(0.8, 0.0, 0.0)}) == UNTOUCHED
    rng = np.random.default_rng(0)
    who, base = np.repeat(np.arange(10), 3), rng.random(30) * 0.5
    better = gain([Validation(base + 0.2 + 0.01 * rng.random(30), base, who) for _ in range(3)])
    assert better.difference == pytest.approx(0.205, abs=0.01) and better.error < 0.01
    same = gain([Validation(base, base, who)])
    assert same.difference == same.error == 0.0
