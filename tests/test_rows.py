"""Every row of params.yaml, through the stages themselves on a tiny data set, and back from the file."""

import csv
import json
import os
from functools import partial
from pathlib import Path

import finetune
import numpy as np
import pytest
import torch
from ideas import HEADS
from params import CONFIG, new_row
from test_body_coordinates import slowly
from tiny_study import DATASET, HEIGHT, IDENTITIES, IMAGES, JOINTS, WIDTH, run, tiny_params, write_inputs, write_study

from auxreid.clip.checkpoints import load_image_encoder, load_ranked_encoder, load_text_tower
from auxreid.clip.embed import encode_frames
from auxreid.clip.images import PLAIN
from auxreid.clip.maps import captured
from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.clipreid.variants import centroids
from auxreid.data.frames import open_frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.graph.applicability import applicable_rows, not_applicable
from auxreid.plumbing.graph.table import build_graph
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints

ALL = CONFIG.model_copy(update={"study": CONFIG.study.model_copy(update={"rows": None})})
ROWS = [row for row in applicable_rows(ALL, DATASET) if CONFIG.ablations[row].rank is None]  # those that train
IDEAS = {"heads_of_untrained": new_row(prompts=None, start="untrained", auxiliary=HEADS)}  # in training alone
CLOSED = "gated_joints_closed"  # a control that is meant to train as clip_reid
FUSED = [row for row in ROWS if CONFIG.ablations[row].pose is not None]


class Study:
    """The rows, trained on demand by the scripts of pipeline/, each once."""

    def __init__(self):
        params = tiny_params()
        params["ablations"] |= IDEAS
        self.config = write_study(params)
        write_inputs(self.config)
        self.graph = build_graph(self.config)
        self.frames = open_frames(f"results/ingest/{DATASET}/frames.arrow")
        self.trained: dict[str, tuple] = {}  # row -> (encoder, what ranks with it) as training left them
        self.save = finetune.save_tower

    def texts(self, variant: str) -> dict[str, torch.Tensor]:
        """What stage 1 wrote for a variant."""
        from safetensors.torch import load_file

        path = Path(f"results/prompts/{DATASET}-{variant}-0/prompts.safetensors")
        if not path.is_file():
            encoder = getattr(self.config.prompts[variant], "encoder", None)
            if encoder is not None:
                self.make(encoder)
            run("prompts", f"{DATASET}-{variant}-0")
        return load_file(path)

    def make(self, start: str) -> None:
        """What a row starts from: another row, or a pre-training with a third tower; the others are there."""
        if start in self.config.ablations:
            self.train(start)
        key = f"{DATASET}-0-{start}"
        if start in self.config.pretrainings and not Path(f"results/pretrain_branch/{key}").is_dir():
            run("pretrain_branch", key)

    def train(self, row: str) -> tuple[Path, tuple]:
        """The folder of a row, and its encoder and what ranks with it as they were when they were saved."""
        if row not in self.trained:
            body = self.config.ablations[row]
            if body.start is not None:
                self.make(body.start)
            if body.prompts is not None:
                self.texts(body.prompts)
            finetune.save_tower = lambda encoder, *rest: self.keep(row, encoder, *rest)
            run("finetune", f"{DATASET}-{row}-0")
            finetune.save_tower = self.save
        return Path(f"results/finetune/{DATASET}-{row}-0"), self.trained[row]

    def keep(self, row: str, encoder, path, encoder_config, input_config, beside) -> None:
        self.trained[row] = encoder, None if beside is None else beside[0]
        self.save(encoder, path, encoder_config, input_config, beside)

    def embedding(self, row: str) -> np.ndarray:
        """What `evaluate` would rank, from the row's file."""
        path = self.train(row)[0] / "encoder.safetensors"
        pose = self.graph["evaluate"][f"{DATASET}-{row}-0"]["pose"]
        return embed_for_ranking(*load_ranked_encoder(path), self.frames, pose)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("study"))
    try:
        yield Study()
    finally:
        os.chdir(before)


def literal_pose(row: str) -> np.ndarray:
    """The pose of the images as they are, as written: shares of the sides, the body's frame, or heat maps."""
    rng = np.random.default_rng(0)
    points = rng.random((IDENTITIES * IMAGES, len(JOINTS), 3), np.float32)
    maps = rng.random((IDENTITIES * IMAGES, len(JOINTS) * 32), np.float32)
    pose = CONFIG.ablations[row].pose
    if pose.source != "keypoints":
        return maps
    shares = points[..., :2]
    placed = slowly(shares * [WIDTH, HEIGHT], JOINTS).astype(np.float32) if pose.coordinates == "body" else shares
    return placed.reshape(len(points), -1)


def with_idea(encode, idea, encoder):
    """What is ranked of images, with an idea of which the network knows nothing."""

    def encoded(images: torch.Tensor, rows: np.ndarray) -> tuple[torch.Tensor, ...]:
        known = idea.inputs(rows, [PLAIN] * len(rows))
        with captured(encoder, idea.maps) as maps:
            features = encode(idea.images(images, known), rows)
        return idea.rank(features, idea.observe(features, maps, known))

    return encoded


@pytest.mark.parametrize("row", [*ROWS, *IDEAS])
def test_a_row_trains_and_its_file_embeds_as_the_network_that_was_trained(study, row):
    folder, (encoder, beside) = study.train(row)
    pose, idea = study.config.ablations[row].pose, study.config.ablations[row].auxiliary
    around = {}
    if idea is not None and beside is not None:
        around["around"] = partial(with_idea, idea=beside.eval(), encoder=encoder)
    with torch.no_grad():
        _, f2, f3 = encode_frames(encoder, study.frames, encoder.input_config, **around)
        if pose is not None and pose.rank == "fused":
            f3 = beside.eval()(f3, torch.from_numpy(literal_pose(row)))
    expected = torch.cat([f2, f3], dim=1)
    expected = (expected / expected.norm(dim=1, keepdim=True)).numpy()
    found = study.embedding(row)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape == expected.shape and np.isfinite(found).all()
    assert idea is not None or found.shape == (IDENTITIES * IMAGES, 128 + 8)
    assert np.ptp(found, axis=0).max() > 1e-4  # images differ
    with (folder / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert len(history) == (study.config.ablations[row].epoch_factor or 1)  # of one epoch
    texts = set() if study.config.ablations[row].prompts is None else {"i2t"}
    known = {"epoch", "loss", "id", "triplet", "lr"} | texts
    assert set(history[0]) == known or (idea is not None and set(history[0]) > known)


def test_every_row_applies_to_the_sample_unless_its_encoder_is_of_another_kind_or_it_takes_predictions():
    assert len(ROWS) >= 20
    missing = ("vision transformer", "timm encoder", "image_weights", "predicted attributes", "not predicted")
    reasons = not_applicable(ALL, DATASET).values()
    assert all(any(words in reason for words in missing) for reason in reasons)


def test_a_row_starts_from_the_encoder_that_it_names(study, monkeypatch):
    """That before the pre-training: which file was read is told by the encoder, before its training."""
    read = []
    monkeypatch.setattr(finetune, "load_image_encoder", lambda path: read.append(path) or load_image_encoder(path))
    run("finetune", f"{DATASET}-heads_of_untrained-0")
    assert read == [Path(f"results/pretrain/{DATASET}-0/initial.safetensors")]


def test_an_idea_that_ranks_needs_its_pose_and_one_of_training_alone_does_not(study):
    encoder, beside = load_ranked_encoder(study.train("gated_joints")[0] / "encoder.safetensors")
    assert beside[0].config == study.config.ablations["gated_joints"].auxiliary
    with pytest.raises(DataError, match="no such file"):
        embed_for_ranking(encoder, beside, study.frames, "no such file")
    encoder, beside = load_ranked_encoder(study.train("heads_of_untrained")[0] / "encoder.safetensors")
    assert beside is None
    embed_for_ranking(encoder, beside, study.frames, "no such file")


def test_no_row_is_another_row(study):
    """Different rows of equal seed end in different weights: none silently runs as its neighbour."""
    embeddings = {row: study.embedding(row) for row in ROWS if row != CLOSED}
    for one in embeddings:
        for other in embeddings:
            if one != other and embeddings[one].shape == embeddings[other].shape:
                assert np.abs(embeddings[one] - embeddings[other]).max() > 1e-6, (one, other)


def test_a_gate_that_stays_closed_leaves_clip_reid(study):
    np.testing.assert_array_equal(study.embedding(CLOSED), study.embedding("clip_reid"))


@pytest.mark.parametrize("row", FUSED)
def test_a_fused_row_shows_figure_13_and_how_much_it_listens(study, row):
    folder, (_, fusion) = study.train(row)
    record = json.loads((folder / "record/record.json").read_text())
    listening = fusion.listening()
    for half in ("image", "pose"):
        assert record["summary"][f"listens_to_{half}"] == pytest.approx(listening[half])
        assert listening[half] > 0
    assert (folder / "record/figures/projector_weights.png").stat().st_size > 1000


def test_thesis_rows_rank_f3_itself_and_need_no_pose_for_it(study):
    for row in FUSED:
        path, pose = study.train(row)[0] / "encoder.safetensors", study.config.ablations[row].pose
        encoder, fused = load_ranked_encoder(path)
        assert fused[0].pose == pose and fused[0].joints == len(JOINTS)
        image_alone = embed_for_ranking(encoder, None, study.frames, "no such file")
        if pose.rank == "image":
            assert np.array_equal(embed_for_ranking(encoder, fused, study.frames, "no such file"), image_alone)
        else:
            assert np.abs(study.embedding(row) - image_alone).max() > 1e-3
            with pytest.raises(DataError, match="no such file"):
                embed_for_ranking(encoder, fused, study.frames, "no such file")


def test_a_table_of_other_joints_or_frames_is_refused_at_ranking(study, tmp_path):
    path = study.train("keypoints_raw_corrected")[0] / "encoder.safetensors"
    (encoder, fused), count = load_ranked_encoder(path), len(study.frames)
    poses = Poses(np.zeros((count, 2, 3), np.float32), np.zeros((count, 64), np.float32))
    write_keypoints(tmp_path / "two.parquet", ("left_hip", "right_hip"), [(np.arange(count), poses)])
    with pytest.raises(DataError, match=r"two\.parquet: has 2 joints, the fusion was trained with 3"):
        embed_for_ranking(encoder, fused, study.frames, str(tmp_path / "two.parquet"))
    poses = Poses(np.zeros((1, 3, 3), np.float32), np.zeros((1, 96), np.float32))
    write_keypoints(tmp_path / "one.parquet", JOINTS, [(np.arange(1), poses)])
    with pytest.raises(DataError, match=rf"one\.parquet: has no row for {count - 1} frames"):
        embed_for_ranking(encoder, fused, study.frames, str(tmp_path / "one.parquet"))


@pytest.mark.parametrize("row", ["hrnet_mean_norm", "keypoints_mean_norm_corrected"])
def test_a_row_run_twice_gives_equal_weights(study, row):
    path = study.train(row)[0] / "encoder.safetensors"
    before = path.read_bytes()
    torch.manual_seed(77)  # what ran before does not matter
    run("finetune", f"{DATASET}-{row}-0")
    assert path.read_bytes() == before


# --- stage 1 as the rows ask for it


def test_random_prompts_are_as_drawn_and_learned_ones_are_trained(study):
    random, learned = study.texts("random"), study.texts("learned")
    assert random["learned"].std().item() == pytest.approx(0.02, rel=0.1)
    assert learned["learned"].std() > 3 * random["learned"].std()
    assert torch.unique(random["texts"], dim=0).shape == (IDENTITIES, 8)
    assert random["identities"].tolist() == list(range(1, IDENTITIES + 1))


def test_attribute_sentences_give_the_first_two_people_one_text(study):
    for variant in ("attribute_sentences", "attribute_sentences_thesis"):
        found = study.texts(variant)
        assert torch.equal(found["texts"][0], found["texts"][1]) and "learned" not in found
        assert not torch.equal(found["texts"][0], found["texts"][2])
    tokens = study.texts("attribute_tokens")["texts"]
    assert tokens.shape == (IDENTITIES, 8) and not torch.equal(tokens[0], tokens[1])


def test_centroids_are_those_of_the_pretrained_encoder(study):
    encoder = load_image_encoder(f"results/pretrain/{DATASET}-0/image.safetensors")
    features = encode_frames(encoder, study.frames, encoder.input_config)[2]
    expected = centroids(features, np.repeat(np.arange(IDENTITIES), IMAGES))
    torch.testing.assert_close(study.texts("centroids")["texts"], expected)


def test_learned_twice_sees_the_tuned_encoder_and_the_untouched_text_tower(study):
    """Stage 1 by hand on the tuned encoder's features gives the same texts."""
    from auxreid.clipreid.attribute_targets import contrastive_identity
    from auxreid.clipreid.prompt_learner import PromptLearner
    from auxreid.clipreid.stage1 import text_features, train_prompts
    from auxreid.training.seeding import seed_everything

    found = study.texts("learned_twice")
    seed_everything(0)
    text = load_text_tower(f"results/pretrain/{DATASET}-0/text.safetensors")
    learner = PromptLearner(text, ["A photo of a X X X X person."] * IDENTITIES)
    encoder = load_image_encoder(f"results/finetune/{DATASET}-clip_reid-0/encoder.safetensors")
    features = encode_frames(encoder, study.frames, encoder.input_config)[2]
    classes = np.repeat(np.arange(IDENTITIES), IMAGES)
    settings = study.config.recipe(DATASET).prompts
    train_prompts(text, learner, features, classes, contrastive_identity, settings, lambda metrics, epoch: None)
    assert (found["texts"] - study.texts("learned")["texts"]).abs().max() > 1e-4
    torch.testing.assert_close(found["texts"], text_features(text, learner), atol=1e-4, rtol=1e-4)


def test_texts_of_other_identities_are_refused(study):
    study.texts("learned")
    with pytest.raises(DataError, match="holds texts of other identities"):
        finetune.read_texts(f"results/prompts/{DATASET}-learned-0/prompts.safetensors", np.arange(6))
