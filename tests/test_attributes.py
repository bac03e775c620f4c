"""The attribute classifier: losses and scores against worked numbers, and a training small enough to be watched."""

import json
import math
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from auxreid.attributes.dataset import EpochSampler, draw_chances, eval_loader, train_loader, with_labels
from auxreid.attributes.losses import inverse_frequency, masked_cross_entropy, mixed_loss, multitask_loss
from auxreid.attributes.metrics import confusion_table, flat_metrics, mean_metrics, score_attribute, score_attributes
from auxreid.attributes.model import AttributeModel, build_backbone, load_model, save_model
from auxreid.attributes.optimization import parameter_groups, warmup_cosine
from auxreid.attributes.predict import embed_images, predict, predict_logits, write_predictions
from auxreid.attributes.train import fit
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.settings.recipes import AttributesConfig
from auxreid.training.seeding import seed_everything

BACKBONE = "test_resnet"  # timm's own tiny network for tests
VOCABULARY = {"color": ["red", "blue"], "shape": ["disc", "bar", "ring"]}
SETTINGS = {
    "backbone": BACKBONE,
    "weights": None,
    "height": 32,
    "width": 32,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "epochs": 3,
    "batch_size": 8,
    "lr": 3e-3,
    "backbone_lr_factor": 1.0,
    "trained_stages": None,
    "views": None,
    "folds": None,
    "patience": None,
    "weight_decay": 0.01,
    "warmup_epochs": 1,
    "label_smoothing": 0.0,
    "dropout": 0.1,
    "augmentation": 1.0,
    "mixup": None,
    "balance": "inverse_frequency",
    "calibration": "temperature",
    "mirrored": False,
    "seed": 3,
}


def settings(**changes):
    return SimpleNamespace(**(SETTINGS | changes))


def picture(color, shape, rng):
    """A noisy red or blue disc or bar as PNG bytes."""
    image = rng.integers(90, 130, (40, 40, 3), dtype=np.uint8)
    bgr = (40, 40, 220) if color == "red" else (220, 40, 40)
    if shape == "disc":
        cv2.circle(image, (20, 20), 12, bgr, -1)
    else:
        cv2.rectangle(image, (2, 15), (38, 25), bgr, -1)
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """32 training, 8 val and 16 query frames; of the training frames, three lack a label or both."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(56):
        color, shape = ("red", "blue")[number % 2], ("disc", "bar")[number // 2 % 2]
        split = "train" if number < 32 else "val" if number < 40 else "query"
        row = {"path": f"{number}.png", "split": split, "identity": number, "width": 40, "height": 40}
        row |= {"image": picture(color, shape, rng), "attr_color": color, "attr_shape": shape}
        rows.append(row)
    rows[0] |= {"attr_color": None}
    rows[1] |= {"attr_shape": None}
    rows[2] |= {"attr_color": None, "attr_shape": None}
    path = tmp_path_factory.mktemp("frames") / "frames.arrow"
    write_frames(path, rows, FramesMeta("shapes", "dogs", "dogs", "dog", attributes=VOCABULARY))
    return open_frames(path)


def ignore(points, step):
    pass


# losses


def test_cross_entropy_worked_numbers():
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0], [5.0, -5.0]])  # p = (1/4, 3/4), (4/5, 1/5)
    codes = torch.tensor([0, 0, -1])
    plain = (math.log(4.0) + math.log(5 / 4)) / 2
    assert masked_cross_entropy(logits, codes).item() == pytest.approx(plain)
    smooth_0 = 0.8 * math.log(4.0) + 0.1 * (math.log(4.0) + math.log(4 / 3))
    smooth_1 = 0.8 * math.log(5 / 4) + 0.1 * (math.log(5 / 4) + math.log(5.0))
    assert masked_cross_entropy(logits, codes, smoothing=0.2).item() == pytest.approx((smooth_0 + smooth_1) / 2)


def test_class_weights_multiply_each_row():
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)]])
    weights = torch.tensor([2.0, 0.5])
    expected = (2.0 * math.log(4.0) + 0.5 * math.log(4 / 3)) / 2
    assert masked_cross_entropy(logits, torch.tensor([0, 1]), weights).item() == pytest.approx(expected)


def test_no_gradient_from_missing_labels():
    logits = torch.randn(4, 3, requires_grad=True)
    masked_cross_entropy(logits, torch.tensor([1, -1, 2, -1])).backward()
    assert (logits.grad[[1, 3]] == 0).all()
    assert (logits.grad[[0, 2]] != 0).all()


def test_head_without_labels_costs_nothing_and_stays_finite():
    logits = {"a": torch.randn(2, 3, requires_grad=True), "b": torch.randn(2, 2, requires_grad=True)}
    codes = {"a": torch.tensor([-1, -1]), "b": torch.tensor([0, 1])}
    loss = multitask_loss(logits, codes)
    loss.backward()
    assert loss.item() == pytest.approx(masked_cross_entropy(logits["b"], codes["b"]).item() / 2)
    assert (logits["a"].grad == 0).all()


def test_infinite_logits_of_a_masked_row_do_no_harm():
    logits = torch.tensor([[float("inf"), 0.0], [0.0, 0.0]])
    assert masked_cross_entropy(logits, torch.tensor([-1, 0])).item() == pytest.approx(math.log(2.0))


def test_inverse_frequency():
    weights = inverse_frequency(torch.tensor([0, 0, 0, 2, -1, -1]), 4)
    assert weights.tolist() == pytest.approx([4 / (2 * 3), 0.0, 4 / (2 * 1), 0.0])


# balance and mixing


def test_the_sampler_draws_by_the_mean_inverse_frequency_of_a_frames_labels():
    """Four frames: of `color` 3 red and 1 blue, of `shape` a disc, a bar and two without a label."""
    codes = {"color": np.array([0, 0, 0, 1]), "shape": np.array([0, 1, -1, -1])}
    chances = draw_chances(codes, VOCABULARY, settings(balance="sampler"))
    red, blue, shape = 4 / (2 * 3), 4 / (2 * 1), 2 / (2 * 1)
    expected = np.array([(red + shape) / 2, (red + shape) / 2, red, blue])
    np.testing.assert_allclose(chances, expected / expected.sum())
    assert draw_chances(codes, VOCABULARY, settings()) is None


def test_an_epoch_of_the_sampler_has_rare_words_as_often():
    codes = {"color": np.array([0] * 90 + [1] * 10)}
    sampler = EpochSampler(100, 0, 10, slice(0, 10), draw_chances(codes, VOCABULARY, settings(balance="sampler")))
    drawn = []
    for sampler.epoch in range(20):
        drawn += [index for _, index in sampler]
    assert len(drawn) == 20 * 100
    assert np.mean(codes["color"][drawn]) == pytest.approx(0.5, abs=0.05)


def test_a_training_with_the_sampler_has_no_weights_in_the_loss(frames):
    """Heads that start from zeros and hardly move: a batch of any words costs the same, unless words have weights."""
    rare = frames.take((frames.attribute_codes("color") == 0) | (np.arange(len(frames)) % 4 == 1))
    changes = {"backbone_lr_factor": 0.0, "epochs": 1, "lr": 1e-9}
    points, _ = points_of(rare, balance="sampler", **changes)
    assert points[0]["train_loss"] == pytest.approx((math.log(2) + math.log(3)) / 2, abs=0.02)
    assert len(points_of(rare, balance="sampler", epochs=1)[0]) == 1


def test_mixed_rows_have_mixed_targets():
    """A linear head on features that are the classes: the loss by hand from the share and the partners drawn."""
    features, codes = torch.eye(3), {"a": torch.tensor([0, 1, -1])}
    head = lambda rows: {"a": 2.0 * rows}  # noqa: E731
    torch.manual_seed(5)
    found = mixed_loss(head, features, codes, {}, settings(mixup=0.7))
    torch.manual_seed(5)
    share, partners = float(torch.distributions.Beta(0.7, 0.7).sample()), torch.randperm(3)
    logits = 2.0 * (share * features + (1 - share) * features[partners])
    expected = share * masked_cross_entropy(logits, codes["a"])
    expected += (1 - share) * masked_cross_entropy(logits, codes["a"][partners])
    assert found.item() == pytest.approx(expected.item())
    plain = multitask_loss(head(features), codes, {}, 0.0)
    assert mixed_loss(head, features, codes, {}, settings()).item() == plain.item()


# metrics


def test_scores_equal_scikit_learn():
    rng = np.random.default_rng(1)
    codes = rng.integers(-1, 3, 60)
    probabilities = rng.dirichlet(np.ones(3), 60)
    score = score_attribute(codes, probabilities, "abc")
    keep = codes >= 0
    predicted = probabilities[keep].argmax(1)
    assert score.balanced_accuracy == pytest.approx(balanced_accuracy_score(codes[keep], predicted))
    assert score.roc_auc == pytest.approx(roc_auc_score(codes[keep], probabilities[keep], multi_class="ovr"))
    assert score.labelled == keep.sum()
    assert score.absent == ()


def test_absent_word_is_named_and_left_out_of_the_means():
    codes = np.array([0, 0, 2, 2, -1])
    probabilities = np.array([[0.6, 0.1, 0.3], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.5, 0.1, 0.4], [0.1, 0.8, 0.1]])
    score = score_attribute(codes, probabilities, ("short", "medium", "long"))
    assert score.absent == ("medium",)
    assert score.balanced_accuracy == pytest.approx(0.5)  # recall 1/2 of short (one called medium), 1/2 of long
    # short: 0.6, 0.2 against 0.1, 0.5 -> 3 of 4 pairs; long: 0.7, 0.4 against 0.3, 0.3 -> 4 of 4
    assert score.roc_auc == pytest.approx((3 / 4 + 1) / 2)
    assert score.confusion.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert flat_metrics({"coat": score})["coat_absent"] == "medium"
    lines = confusion_table({"coat": score}, {"coat": ("short", "medium", "long")}).splitlines()
    assert lines[:4] == [
        "attribute,actual,predicted,count",
        "coat,short,short,1",
        "coat,short,medium,1",
        "coat,short,long,0",
    ]
    assert len(lines) == 1 + 9 and lines[-1] == "coat,long,long,1"


def test_attribute_with_one_word_is_unscored_and_no_part_of_the_mean():
    codes = {"hat": np.array([0, 0, -1]), "bag": np.array([0, 1, 1])}
    probabilities = {"hat": np.full((3, 2), 0.5), "bag": np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])}
    scores = score_attributes(codes, probabilities, {"hat": ("no", "yes"), "bag": ("no", "yes")})
    metrics = flat_metrics(scores)
    assert "hat_balanced_accuracy" not in metrics
    assert "hat_unscored" in metrics
    assert metrics["hat_absent"] == "yes"
    assert metrics["mean_balanced_accuracy"] == metrics["bag_balanced_accuracy"] == 1.0
    assert metrics["attributes_scored"] == 1
    assert all(math.isfinite(value) for value in metrics.values() if not isinstance(value, str))


def test_nothing_to_score_is_an_error():
    with pytest.raises(DataError, match="hat"):
        mean_metrics({"hat": score_attribute(np.array([-1]), np.array([[0.5, 0.5]]), ("no", "yes"))})


# data


def test_frames_without_any_label_are_left_out(frames):
    train = frames.where("train")
    assert len(train) == 32
    assert 2 not in with_labels(train).frame_id
    assert len(with_labels(train)) == 31


def all_batches(frames, epochs=(1, 2)):
    loader = train_loader(frames.where("train"), VOCABULARY, settings())
    for epoch in epochs:
        loader.sampler.epoch = epoch
        yield from loader


def test_number_of_workers_changes_no_batch(frames, monkeypatch):
    here = list(all_batches(frames))
    monkeypatch.setenv("AUXREID_WORKERS", "2")
    workers = list(all_batches(frames))
    assert len(here) == len(workers) == 8
    for (images, codes), (other_images, other_codes) in zip(here, workers, strict=True):
        assert torch.equal(images, other_images)
        assert all(torch.equal(codes[name], other_codes[name]) for name in VOCABULARY)


def test_epochs_differ_and_repeat(frames):
    first, second = list(all_batches(frames, [1])), list(all_batches(frames, [2]))
    assert not torch.equal(first[0][0], second[0][0])
    assert torch.equal(first[0][0], next(iter(all_batches(frames, [1])))[0])


# model


def test_backbone_from_a_local_file_without_its_classifier(tmp_path):
    whole = timm.create_model(BACKBONE, num_classes=7)
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    backbone = build_backbone(BACKBONE, str(tmp_path / "whole.safetensors"))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(
        backbone.eval()(images), whole.eval().forward_head(whole.forward_features(images), pre_logits=True)
    )


def test_weights_that_do_not_fit_are_named(tmp_path):
    save_file({"conv1.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match=r"other\.safetensors' for .*of another structure"):
        build_backbone(BACKBONE, str(tmp_path / "other.safetensors"))
    with pytest.raises(ConfigError, match=r"broken\.safetensors': not a readable safetensors"):
        build_backbone(BACKBONE, str(tmp_path / "broken.safetensors"))
    with pytest.raises(ConfigError, match=r"none\.safetensors': no such file"):
        build_backbone(BACKBONE, str(tmp_path / "none.safetensors"))
    with pytest.raises(ConfigError, match="no_such_net"):
        build_backbone("no_such_net", None)


def test_failed_download_is_one_clear_error(monkeypatch):
    def offline(*args, **kwargs):
        raise FileNotFoundError("cannot find the requested files in the local cache")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ConfigError, match=r"timm's hub.*local safetensors file"):
        build_backbone(BACKBONE, "timm")


def test_checkpoint_round_trip(tmp_path):
    torch.manual_seed(0)
    model = AttributeModel(build_backbone(BACKBONE, None), VOCABULARY, dropout=0.3).eval()
    save_model(tmp_path / "model.safetensors", model, BACKBONE, settings(height=48))
    again, spec = load_model(tmp_path / "model.safetensors")
    images = torch.randn(2, 3, 48, 32)
    assert again.vocabulary == {"color": ("red", "blue"), "shape": ("disc", "bar", "ring")}
    assert (spec.height, spec.width, spec.mean) == (48, 32, (0.5, 0.5, 0.5))
    for name, logits in model(images).items():
        assert torch.equal(again(images)[name], logits)


def test_other_safetensors_files_are_no_attribute_model(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"auxreid": json.dumps({"encoder": {}})})
    with pytest.raises(DataError, match="does not describe an attribute model"):
        load_model(tmp_path / "a.safetensors")


# training


def test_learning_rates_of_backbone_and_heads():
    model = AttributeModel(build_backbone(BACKBONE, None), VOCABULARY)
    groups = parameter_groups(model, settings(lr=1e-2, backbone_lr_factor=0.1, weight_decay=0.5))
    assert [group["lr"] for group in groups] == pytest.approx([1e-3, 1e-3, 1e-2, 1e-2])
    assert [group["weight_decay"] for group in groups] == [0.0, 0.5, 0.0, 0.5]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_warmup_then_cosine():
    factor = warmup_cosine(warmup_epochs=1, epochs=3, steps_per_epoch=4)
    assert [factor(step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert factor(4) == 1.0
    assert factor(8) == pytest.approx(0.5)
    assert factor(12) == pytest.approx(0.0)


def test_training_learns_colours_and_shapes(frames):
    points = []
    fitted = fit(frames, settings(epochs=20, dropout=0.0), lambda values, step: points.append((step, dict(values))))
    held_out = frames.where("query")
    probabilities = predict(fitted.model, held_out, settings())
    codes = {name: held_out.attribute_codes(name) for name in VOCABULARY}
    scores = score_attributes(codes, probabilities, fitted.model.vocabulary)
    assert scores["color"].balanced_accuracy == 1.0
    assert scores["shape"].balanced_accuracy > 0.8
    assert scores["shape"].absent == ("ring",)
    assert [step for step, _ in points] == list(range(1, 21))
    best = max(range(20), key=lambda epoch: points[epoch][1]["val_balanced_accuracy"])
    assert fitted.chosen_by == fitted.calibrated_on == "the split val"
    assert fitted.best_epoch == best + 1


def test_folds_are_for_features_that_are_kept():
    assert AttributesConfig(**SETTINGS | {"backbone_lr_factor": 0.0, "views": 2, "folds": 4}).folds == 4
    with pytest.raises(ValidationError, match="folds goes with views"):
        AttributesConfig(**SETTINGS | {"folds": 4})


def test_equal_seed_equal_weights(frames):
    first, again, other = (fit(frames, settings(seed=seed), ignore).model.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_a_frozen_backbone_keeps_weights_and_batch_statistics(frames):
    fitted = fit(frames, settings(backbone_lr_factor=0.0), ignore)
    seed_everything(settings().seed)
    fresh = build_backbone(settings().backbone, None).state_dict()
    after = fitted.model.backbone.state_dict()
    assert all(torch.equal(after[name], fresh[name]) for name in fresh)


def points_of(frames, **changes):
    """The points of each epoch of a training, and what was fitted."""
    points = []
    fitted = fit(frames, settings(**changes), lambda values, epoch: points.append(dict(values)))
    return points, fitted


def test_a_frozen_backbone_learns_from_kept_features_what_it_learns_from_images(frames):
    """The heads of a plain loop over images, step by step: the same views, batches and dropped features."""
    changes = settings(backbone_lr_factor=0.0, epochs=2, dropout=0.3)
    points, fitted = points_of(frames, **vars(changes))
    seed_everything(changes.seed)
    model = AttributeModel(build_backbone(BACKBONE, None), VOCABULARY, changes.dropout, frozen=True)
    model.to(memory_format=torch.channels_last)
    train = with_labels(frames.where("train"))
    loader = train_loader(train, VOCABULARY, changes)
    optimizer = torch.optim.AdamW(parameter_groups(model, changes))
    factor = warmup_cosine(changes.warmup_epochs, changes.epochs, len(loader))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    weights = {
        name: inverse_frequency(torch.from_numpy(train.attribute_codes(name)), len(VOCABULARY[name]))
        for name in VOCABULARY
    }
    for epoch, point in enumerate(points, 1):
        loader.sampler.epoch, losses = epoch, []
        with torch.random.fork_rng(devices=[]):
            batches = list(loader)
        model.train()
        for images, codes in batches:
            loss = multitask_loss(model(images.contiguous(memory_format=torch.channels_last)), codes, weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        assert point["train_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert set(fitted.model.vocabulary) == set(VOCABULARY)


def test_views_are_made_once(frames, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "auxreid.attributes.train.embed_images", lambda *a, **k: seen.append(1) or embed_images(*a, **k)
    )
    points, _ = points_of(frames, backbone_lr_factor=0.0, views=2, epochs=6)
    assert len(points) == 6
    assert len(seen) == 2 * 4  # two views of 31 frames in batches of 8
    seen.clear()
    points_of(frames, backbone_lr_factor=0.0, epochs=6)
    assert len(seen) == 6 * 4


def test_only_the_last_stages_change_and_the_others_keep_their_batch_statistics(frames):
    _, fitted = points_of(frames, trained_stages=2, epochs=2)
    seed_everything(settings().seed)
    fresh = build_backbone(BACKBONE, None).state_dict()
    changed = {
        name.partition(".")[0] for name, one in fitted.model.backbone.state_dict().items() if (one != fresh[name]).any()
    }
    assert changed == {"layer3", "layer4"}
    with pytest.raises(ConfigError, match="trained_stages = 9: the backbone has 5 stages"):
        points_of(frames, trained_stages=9)


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "convnext_atto", "tf_efficientnet_lite0"])
def test_stages_of_other_backbones(backbone):
    model = AttributeModel(build_backbone(backbone, None), VOCABULARY, trained_stages=1).train()
    trained = [name for name, one in model.backbone.named_parameters() if one.requires_grad]
    assert 0 < len(trained) < len(list(model.backbone.parameters())) / 4
    norms = {name: one.training for name, one in model.backbone.named_modules() if "bn1" in name or "norm1" in name}
    first, *_, last = norms.values() if norms else (False, True)
    assert (first, last) == (False, True)


def test_patience_ends_a_training_that_gets_no_better(frames):
    whole, fitted = points_of(frames, epochs=12, lr=1e-9, backbone_lr_factor=0.0, views=1)
    short, again = points_of(frames, epochs=12, lr=1e-9, backbone_lr_factor=0.0, views=1, patience=3)
    assert len(whole) == 12 and fitted.best_epoch == again.best_epoch
    assert len(short) == again.best_epoch + 3
    assert short == whole[: len(short)]


@torch.no_grad()
def test_mirrored_predictions_are_means_of_the_logits_of_both_sides(frames, tmp_path):
    model = AttributeModel(build_backbone(BACKBONE, None), VOCABULARY, mirrored=True).eval()
    save_model(tmp_path / "model.safetensors", model, BACKBONE, settings())
    again, spec = load_model(tmp_path / "model.safetensors")
    found = predict_logits(again, frames.take(range(8)), spec)
    images = next(iter(eval_loader(frames, {}, spec, 8)))[0]
    left, right = model(images), model(images.flip(-1))
    for name, logits in found.items():
        np.testing.assert_allclose(logits, ((left[name] + right[name]) / 2).numpy(), atol=1e-5)
        assert not np.allclose(logits, left[name].numpy(), atol=1e-5)


def test_without_val_some_training_individuals_are_held_out(frames):
    fitted = fit(frames.where(("train", "query")), settings(epochs=1), ignore)
    assert fitted.chosen_by == fitted.calibrated_on
    assert "5 training frames of 5 individuals" in fitted.described()["calibrated_on"]  # 15% of 31 with a label


def test_one_training_individual_alone_leaves_the_last_epoch_and_no_temperature(frames, tmp_path):
    rows = [{"path": f"{n}.png", "split": "train", "identity": 1, "width": 40, "height": 40} for n in range(8)]
    for number, row in enumerate(rows):
        row |= {"image": bytes(frames.image_bytes(number)), "attr_color": ("red", "blue")[number % 2]}
    write_frames(tmp_path / "one.arrow", rows, FramesMeta("one", "dogs", "dogs", "dog", attributes=VOCABULARY))
    fitted = fit(open_frames(tmp_path / "one.arrow"), settings(epochs=2), ignore)
    described = fitted.described()
    assert (described["best_epoch"], described["epoch_chosen_by"]) == (2, "none, the last one")
    assert described["color_temperature"] == 1.0
    assert "no frame to calibrate on" in described["color_uncalibrated"]


def test_attribute_that_cannot_be_learnt_gets_no_head(frames):
    only_red = frames.take(frames.attribute_codes("color") != 1)
    fitted = fit(only_red, settings(epochs=1), ignore)
    assert set(fitted.model.vocabulary) == {"shape"}
    assert "'red'" in fitted.untrained["color"]
    with pytest.raises(DataError, match="0 labelled frames in split 'train'"):
        fit(frames.where("query"), settings(), ignore)


def test_predictions_file(frames, tmp_path):
    model = AttributeModel(build_backbone(BACKBONE, None), VOCABULARY)
    some = frames.take([5, 1, 9])
    probabilities = predict(model, some, settings(), batch_size=2)
    write_predictions(tmp_path / "predictions.parquet", some.frame_id, probabilities)
    table = pq.read_table(tmp_path / "predictions.parquet").to_pydict()
    assert table["frame_id"] == [5, 1, 9]
    assert np.array(table["shape"]).shape == (3, 3)
    assert np.allclose(np.array(table["shape"]).sum(1), 1.0, atol=1e-5)
    assert model.training
