"""A repository as the tracking tests need it: records and a dvc.lock made by hand, no stage run and no training."""

import json
import shutil
from pathlib import Path

import yaml

from auxreid.tracking.lockfile import folder_md5

START = 1_700_000_000_000  # milliseconds


class Workspace:
    """Writes records below root and dvc.lock beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock: dict[str, dict] = {}

    def stage(
        self, stage: str, key: str, *, history=(), summary=None, figures=(), artifacts=(), lr=0.1, **fields
    ) -> Path:
        """A finished stage; lr stands for all that its result depends on."""
        out = self.root / "results" / stage / key
        shutil.rmtree(out, ignore_errors=True)
        (out / "record" / "figures").mkdir(parents=True)
        for name in figures:
            path = out / "record" / "figures" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"picture {name}".encode())
        for name in artifacts:
            (out / name).write_bytes(f"{name} made with {lr}".encode())
        record = {
            "stage": stage,
            "key": key,
            "dataset": "sample",
            "attempt": f"attempt-{stage}-{key}-{lr}",
            "status": "finished",
            "started": START,
            "finished": START + 60_000,
            "params": {f"recipes.sample.{stage}.lr": lr},
            "summary": summary or {},
            "artifacts": list(artifacts),
            **fields,
        }
        (out / "record" / "record.json").write_text(json.dumps(record))
        if history:
            lines = [dict(zip(("name", "step", "value", "time_ms"), point, strict=True)) for point in history]
            (out / "record" / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        place = f"results/{stage}/{key}"
        self.lock[f"{stage}@{key}"] = {
            "cmd": f"python pipeline/{stage}.py",
            "deps": [{"path": f"pipeline/{stage}.py", "hash": "md5", "md5": "0" * 32, "size": 7}],
            "params": {"params.yaml": {"lr": lr}},
            "outs": [
                {"path": f"{place}/record", "hash": "md5", "md5": folder_md5(out / "record"), "size": 9, "nfiles": 2},
                {"path": f"{place}/out", "hash": "md5", "md5": f"{lr}", "size": 7},
            ],
        }
        self.write_lock()
        return out

    def write_lock(self) -> None:
        (self.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": self.lock}))

    def row(self, ablation: str = "clip_reid", lr: float = 0.1) -> None:
        """The three stages of one row of the comparison."""
        key = f"sample-{ablation}-0"
        curve = [("loss", step, 1.0 / (step + 1), START + 1000 * step) for step in range(5)]
        about = {"ablation": ablation, "seed": 0}
        self.stage("prompts", "sample-learned-0", history=curve, summary={"loss": 0.2})
        self.stage(
            "finetune",
            key,
            history=[*curve, ("triplet/active", 4, 0.5, START + 4000)],
            summary={"loss": 0.2},
            figures=["projector.png"],
            artifacts=["encoder.safetensors"],
            params={"recipes.sample.finetune.lr": lr, "ablations.note": "x" * 7000, "prompts_key": "sample-learned-0"},
            lr=lr,
            **about,
        )
        self.stage("evaluate", key, summary={"mAP": 0.5 + lr}, figures=["ranked_lists/best.png"], lr=lr, **about)
