"""ingest@D: read a data set's folder, check it, and pack it into one file that every later stage reads."""

from auxreid.data.contact_sheet import write_contact_sheet
from auxreid.data.frames import open_frames
from auxreid.data.ingest import ingest, summary_lines
from auxreid.graph import load_study
from auxreid.stage_script import run_script
from auxreid.tracking.stage import stage_run


def main(dataset: str) -> None:
    config = load_study().datasets[dataset]
    with stage_run("ingest", dataset, dataset=dataset, params=config.model_dump(mode="json")) as run:
        report = ingest(config, run.out)
        print("\n".join(summary_lines(report)))
        write_contact_sheet(open_frames(run.out / "frames.arrow"), run.figure("contact_sheet.jpg"))
        run.artifact(run.out / "report.json")
        run.summary(
            {name: report[name] for name in ("images", "identities")}
            | {f"{split}_images": counts["images"] for split, counts in report["splits"].items()}
            | {"annotated_images": report["keypoints"]["annotated_images"]}
            | {name: len(report[name]) for name in ("left_out", "warnings")}
        )


if __name__ == "__main__":
    run_script(main)
