"""DVC stage `ingest`: read a data set's folder, check it, and pack it into one file that every later stage reads.

usage: python pipeline/ingest.py DATASET
"""

import checkout  # noqa: F401

from auxreid.data.contact_sheet import write_contact_sheet
from auxreid.data.frames import open_frames
from auxreid.data.ingest import ingest, summary_lines
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script


def main(stage: Stage) -> None:
    with stage.run() as run:
        report = ingest(stage.settings.dataset, run.out, getattr(stage.settings, "vocabulary", None))
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
