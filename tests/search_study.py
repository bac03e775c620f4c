"""A small study of dogs whose search is built: what its stages read, without a training of attributes."""

from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from params import raw_params

from auxreid.attributes.model import AttributeModel, save_model
from auxreid.attributes.predict import predict, write_predictions
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.settings.recipes import InputConfig

DATASET, SIDE = "sample_dogs", 32
VOCABULARY = {"size": ["small", "large"], "ears": ["erect", "drop"]}
INPUT = InputConfig(height=SIDE, width=SIDE, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def search_params(row: str = "untouched") -> dict:
    """params.yaml with a search on the sample's dogs by this metric row, and nothing else to run."""
    raw = raw_params()
    rows = ["untouched"] + [row] * (row != "untouched")
    raw["study"] = {"datasets": [DATASET], "seeds": [0], "rows": [], "metric_rows": rows, "search": [DATASET]}
    recipe = raw["recipes"][DATASET]
    recipe["metric"]["features"] |= {"views": 1}
    recipe["metric"]["train"] |= {"folds": 2, "epochs": 2, "identities": 4}
    recipe["search"]["embedding"] = {"kind": "metric", "row": row}
    recipe["search"]["test"] |= {"drawings": 3, "resamplings": 20, "pictures": 1}
    return raw


def dogs(path: Path, known: int = 12) -> None:
    """Dogs of a colour each under noise, three photographs of each, on three walks: half of them to be learnt from."""
    rng, rows = np.random.default_rng(0), []
    for dog in range(1, 2 * known + 1):
        colour, splits = rng.integers(40, 220, 3), ["val"] * 3 if dog <= known else ["query", "gallery", "gallery"]
        for walk, split in enumerate(splits):
            pixels = np.clip(colour + rng.normal(scale=20, size=(SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            row = {"split": split, "identity": dog, "identity_name": f"dog_{dog}", "width": SIDE, "height": SIDE}
            words = {"attr_size": VOCABULARY["size"][dog % 2], "attr_ears": VOCABULARY["ears"][dog % 3 == 0]}
            told = {"sequence": f"{dog}_{walk}", "place": ["park", "elsewhere", ""][walk], "date": f"2024-05-{dog:02d}"}
            image = cv2.imencode(".png", pixels)[1].tobytes()
            rows.append(row | words | told | {"path": f"{dog}_{walk}.png", "image": image})
    rows.append(rows[-1] | {"split": "test", "identity": -1, "identity_name": "", "path": "nobody.png", "date": ""})
    write_frames(path, rows, FramesMeta(DATASET, "dogs", "dogs", "dog", attributes=VOCABULARY))


def write_inputs(results: Path = Path("results")) -> None:
    """The frames, an attribute classifier that has learnt nothing, and what it says of them."""
    frames = results / "ingest" / DATASET / "frames.arrow"
    dogs(frames)
    torch.manual_seed(0)
    model = AttributeModel(timm.create_model("test_resnet", num_classes=0), VOCABULARY).eval()
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight)
    folder = results / "attributes" / DATASET
    save_model(folder / "model.safetensors", model, "test_resnet", INPUT)
    read = open_frames(frames)
    write_predictions(folder / "predictions.parquet", read.frame_id, predict(model, read, INPUT))
