"""A repository as the tracking tests need it: records and a dvc.lock made by hand, no stage run and no training. Beside
it, all that MLflow then knows of the repository."""

import json
import multiprocessing
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

import yaml

from auxreid.plumbing.dvc.lockfile import folder_md5
from auxreid.plumbing.mirror.store import open_store
from auxreid.plumbing.stage.record import HISTORY, SYSTEM

START = 1_700_000_000_000  # milliseconds


class Workspace:
    """Writes records of one data set below root and dvc.lock beside them; MLflow's tables are copied from a file."""

    def __init__(self, root: Path, empty_database: Path, dataset: str = "sample") -> None:
        self.root, self.dataset = root, dataset
        self.lock: dict[str, dict] = {}
        (root / "mlruns").mkdir(parents=True)
        (root / "dvc.yaml").write_text("stages: {}\n")
        (root / "params.yaml").touch()
        shutil.copy(empty_database, root / "mlruns" / "mlflow.db")

    def stage(
        self,
        stage: str,
        key: str,
        *,
        history=(),
        system=(),
        summary=None,
        figures=(),
        artifacts=(),
        lr=0.1,
        data=None,
        **fields,
    ) -> Path:
        """A finished stage; lr stands for all that its result depends on; data has the MD5 of what it read by path."""
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
            "dataset": self.dataset,
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
        for name, points in {HISTORY: history, SYSTEM: system}.items():
            lines = [dict(zip(("name", "step", "value", "time_ms"), point, strict=True)) for point in points]
            (out / "record" / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.lock_stage(stage, key, lr, data)
        return out

    def lock_stage(self, stage: str, key: str, lr: float = 0.1, data: dict[str, str] | None = None) -> None:
        """Names a record that is there, and its stage's output, in dvc.lock."""
        place = f"results/{stage}/{key}"
        record = folder_md5(self.root / place / "record")
        self.lock[f"{stage}@{key}"] = {
            "cmd": f"python pipeline/{stage}.py",
            "deps": [
                {"path": f"pipeline/{stage}.py", "hash": "md5", "md5": "0" * 32, "size": 7},
                *({"path": path, "hash": "md5", "md5": md5, "size": 7} for path, md5 in (data or {}).items()),
            ],
            "params": {"params.yaml": {"lr": lr}},
            "outs": [
                {"path": f"{place}/record", "hash": "md5", "md5": record, "size": 9, "nfiles": 2},
                {"path": f"{place}/out", "hash": "md5", "md5": f"{lr}", "size": 7},
            ],
        }
        self.write_lock()

    def write_lock(self) -> None:
        (self.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": self.lock}))

    def row(self, ablation: str = "clip_reid", lr: float = 0.1, seed: int = 0, mAP: float | None = None) -> None:
        """The three stages of one row of the comparison; without mAP the row ranks by lr."""
        key, prompts = f"{self.dataset}-{ablation}-{seed}", f"{self.dataset}-learned-{seed}"
        curve = [("loss", step, 1.0 / (step + 1), START + 1000 * step) for step in range(5)]
        load = [
            (f"system/{name}", 0, 300.0, START) for name in ("cpu_utilization_percentage", "process_memory_megabytes")
        ]
        about = {"ablation": ablation, "seed": seed}
        frames = {f"results/ingest/{self.dataset}/frames.arrow": "f" * 32}
        self.stage("prompts", prompts, history=curve, system=load, summary={"loss": 0.2}, data=frames)
        self.stage(
            "finetune",
            key,
            history=[*curve, ("triplet/active", 4, 0.5, START + 4000)],
            system=load[:1],
            summary={"loss": 0.2},
            figures=["projector.png"],
            artifacts=["encoder.safetensors"],
            params={"recipes.sample.finetune.lr": lr, "ablations.note": "x" * 7000, "prompts_key": prompts},
            versions={"torch": "2.14.1", "numpy": "1.26.4"},
            git={"commit": "c" * 40, "dirty": True},
            lr=lr,
            data={**frames, f"results/prompts/{prompts}/out": "0.1"},
            **about,
        )
        measured = {"mAP": 0.5 + lr if mAP is None else mAP}
        scores = {**frames, f"results/finetune/{key}/out": str(lr), "data/splits": "5" * 32 + ".dir"}
        figures = ["ranked_lists/best.png"]
        self.stage("evaluate", key, summary=measured, figures=figures, lr=lr, data=scores, system=load, **about)

    def compare(self, **rows: dict) -> None:
        """The comparison of these rows, whose cells are those of table.csv; what a row lacks is empty."""
        columns = ["row", *{name: None for cells in rows.values() for name in cells}]
        lines = [",".join(columns)]
        lines += [",".join(str({"row": name, **cells}.get(one, "")) for one in columns) for name, cells in rows.items()]
        out = self.stage("compare", self.dataset, artifacts=["table.csv"], attempt=f"attempt-{lines}")
        (out / "table.csv").write_text("\n".join(lines) + "\n")


def forked(target, *arguments, **named):
    """A started process that has all that this one has imported."""
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments, kwargs=named)
    process.start()
    return process


def all_runs(work: Workspace, dataset: str | None = None, uri: str | None = None):
    store = open_store(work.root, uri)
    return store.client, store.runs(store.experiment(dataset or work.dataset))


def only(runs, name):
    found = [run for run in runs if run.info.run_name == name]
    assert len(found) == 1, [run.info.run_name for run in runs]
    return found[0]


def history(client, run, name):
    return [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run.info.run_id, name)]


def artifact_folder(run) -> Path:
    return Path(unquote(urlparse(run.info.artifact_uri).path))


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def artifacts(run, client=None) -> dict[str, bytes]:
    """By path; by way of the client where they lie with a server. MLflow hides what a killed upload left."""
    if run.info.artifact_uri.startswith("file:"):
        found = files_below(artifact_folder(run))
        return {path: data for path, data in found.items() if not Path(path).name.startswith(".artifact.uploading.")}
    if not client.list_artifacts(run.info.run_id):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        return files_below(Path(client.download_artifacts(run.info.run_id, "", folder)))


def inputs(run) -> list[tuple]:
    found = [(one.dataset, {tag.key: tag.value for tag in one.tags}) for one in run.inputs.dataset_inputs]
    return sorted((data.name, data.digest, data.source_type, data.source, str(tags)) for data, tags in found)


def dump(work: Workspace, uri: str | None = None):
    """All that MLflow knows, without the ids that it chooses itself."""
    client, runs = all_runs(work, uri=uri)
    return sorted(
        (
            run.info.run_name,
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            sorted(run.data.params.items()),
            sorted(run.data.tags.items()),
            [(name, history(client, run, name)) for name in sorted(run.data.metrics)],
            inputs(run),
            sorted(artifacts(run, client).items()),
        )
        for run in runs
    )
