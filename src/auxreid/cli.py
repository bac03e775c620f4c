"""The command line: `auxreid --help`. Every command runs from the repository's root."""

import os
import sys
from pathlib import Path
from typing import Annotated

import click
import typer

from auxreid.plumbing.base.errors import ConfigError, DataError, FullDiskError

app = typer.Typer(add_completion=False, no_args_is_help=True)
ROOT = Path(".")
SAMPLE = Path("data/sample")  # what data.dvc describes


class SeveralValues(typer.core.TyperCommand):
    """Lets an option that may be repeated take several values at once: `--seeds 0 1 2`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        several = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        spread, name = [], None
        for arg in args:
            if arg.startswith("-"):
                name = arg if arg in several else None
            elif name is not None and spread[-1] != name:
                spread.append(name)
            spread.append(arg)
        return super().parse_args(ctx, spread)


@app.callback()
def before_each(context: typer.Context) -> None:
    """Re-identification with auxiliary information."""
    if context.invoked_subcommand == "merge-lock":  # Git's, in the middle of a merge
        return
    from auxreid.plumbing.team.own_folders import look_after

    for line in look_after(ROOT):
        print(line, file=sys.stderr)


@app.command()
def check() -> None:
    """Validate params.yaml, pipeline/graph.yaml and .dvc/config; list rows that cannot run; look for files."""
    from auxreid.plumbing.graph.applicability import exclusions
    from auxreid.plumbing.graph.feasible import feasibility_faults
    from auxreid.plumbing.graph.study_files import missing_files
    from auxreid.plumbing.graph.study_folders import folder_remarks
    from auxreid.plumbing.graph.table import load_study
    from auxreid.plumbing.team.credentials import check_dvc_config
    from auxreid.plumbing.team.own_folders import check_sample_file

    check_dvc_config(ROOT)
    check_sample_file(ROOT)
    config = load_study()
    print(f"params.yaml: valid; {len(config.study.datasets)} data sets in the study, {len(config.ablations)} ablations")
    faults, remarks = missing_files(config)
    for line in exclusions(config) + folder_remarks(config) + remarks:
        print(line)
    if faults := faults + feasibility_faults(config):
        raise DataError("\n".join(["the study cannot run:", *faults]))


@app.command()
def plan() -> None:
    """Write pipeline/graph.yaml, the table of runs that follows from params.yaml; prune dvc.lock of what it lacks."""
    from auxreid.plumbing.dvc.prune import prune_lock
    from auxreid.plumbing.graph.applicability import exclusions
    from auxreid.plumbing.graph.table import remove_stale_scores, write_graph
    from auxreid.plumbing.settings.load import load_config
    from auxreid.plumbing.team.own_folders import check_sample_file

    check_sample_file(ROOT)
    config = load_config()
    write_graph(config)
    for path in remove_stale_scores(config):
        print(f"removed {path}: its row is no longer in the study; DVC's cache still has it")
    if gone := prune_lock(ROOT):
        print(f"dvc.lock: stages that are gone: {', '.join(gone)}; DVC's cache and results/ keep what they made")
    for line in exclusions(config):
        print(line)


@app.command()
def sample(root: Annotated[Path, typer.Option(help="folder to render into")] = SAMPLE) -> None:
    """Render the sample people and dogs."""
    from auxreid.sample.render import render_sample

    render_sample(root)


@app.command()
def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="stages; all by default")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="stages at a time, each with its share of the cores")] = 1,
) -> None:
    """`dvc repro` that tells how many stages there are and how many are done, and can run several at a time."""
    from auxreid.plumbing.graph.repro import run_repro
    from auxreid.plumbing.graph.study_files import missing_files
    from auxreid.plumbing.graph.study_folders import folder_remarks
    from auxreid.plumbing.graph.table import load_study
    from auxreid.plumbing.team.own_folders import check_sample_file

    check_sample_file(ROOT)
    config = load_study()
    faults, remarks = missing_files(config)
    for line in folder_remarks(config) + faults + remarks:
        print(line, file=sys.stderr)
    raise typer.Exit(run_repro(targets or [], jobs))


@app.command(cls=SeveralValues)
def fanout(
    address: Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="of a cluster; else this machine")] = None,
    seeds: Annotated[list[int] | None, typer.Option(help="seeds of the study; all by default")] = None,
    rows: Annotated[list[str] | None, typer.Option(help="rows of the study; all by default")] = None,
    cpus: Annotated[int, typer.Option(min=1, envvar="AUXREID_TASK_CPUS", help="CPU cores of each task")] = 1,
    gpus: Annotated[float, typer.Option(min=0, envvar="AUXREID_TASK_GPUS", help="GPUs of each task")] = 0,
) -> None:
    """Run the study on a Ray cluster, a task per ablation and seed; bring the results home and publish them."""
    from auxreid.plumbing.fanout.cluster import Resources
    from auxreid.plumbing.fanout.coordinator import fan_out
    from auxreid.plumbing.fanout.plan import select
    from auxreid.plumbing.graph.table import build_graph, load_study

    graph = build_graph(load_study())
    targets = select(graph, rows or [], seeds or []) if rows or seeds else []
    code = fan_out(targets, address, Resources(cpus, gpus))
    publish()
    raise typer.Exit(code)


@app.command()
def publish() -> None:
    """Mirror the records of results/ into MLflow; register the best encoders."""
    from auxreid.plumbing.mirror.publish import format_report
    from auxreid.plumbing.mirror.publish import publish as mirror
    from auxreid.plumbing.settings.load import load_config

    print(format_report(mirror(ROOT, registry=load_config().registry)))


@app.command()
def runs() -> None:
    """Print which MLflow run shows which result of dvc.lock, results without a run, and runs without a result."""
    from auxreid.plumbing.mirror.overview import overview, print_overview

    print_overview(overview(ROOT))


@app.command()
def ui(port: Annotated[int, typer.Option(help="of MLflow's UI on 127.0.0.1")] = 5000) -> None:
    """Start MLflow's UI, which opens on the comparison; print the addresses of each data set's table and charts."""
    from auxreid.plumbing.mirror.ui import serve

    raise typer.Exit(serve(ROOT, port))


@app.command()
def verify(
    everything: Annotated[bool, typer.Option("--all", help="former results in the cache as well")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="report only")] = False,
) -> None:
    """Rehash DVC's cache, take corrupt objects out, name the pull that repairs. Exit code 1 if there are any."""
    from auxreid.plumbing.team.verify import format_report
    from auxreid.plumbing.team.verify import verify as rehash

    report = rehash(ROOT, everything=everything, heal=not dry_run)
    print(format_report(report))
    if report.having("corrupt"):
        raise typer.Exit(1)


@app.command()
def merge_lock(base: Path, ours: Path, theirs: Path, name: str) -> None:
    """Git's merge driver for dvc.lock and pipeline/graph.yaml, called by Git once `make` has set it up."""
    from auxreid.plumbing.team.merge_lock import merge_files

    print(merge_files(base, ours, theirs, name), file=sys.stderr)


@app.command()
def table() -> None:
    """Print the comparison tables of the study."""
    from rich.console import Console
    from rich.markdown import Markdown

    from auxreid.plumbing.graph.table import build_graph, load_study

    for dataset in build_graph(load_study())["compare"]:
        path = Path(f"results/compare/{dataset}/table.md")
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:  # DVC takes it away while its stage runs
            raise DataError(f"{path}: {error.strerror}; make it with: dvc repro compare@{dataset}") from None
        Console(width=None if sys.stdout.isatty() else 160).print(Markdown(text))


Jobs = Annotated[int, typer.Option(min=1, help="stages at a time")]
JOBS = min(os.cpu_count() or 1, 4)


@app.command()
def study(jobs: Jobs = JOBS) -> None:
    """The demo with all rows of Table 2: `study.rows: null` in params.yaml, plan, then as `auxreid demo`."""
    from auxreid.plumbing.graph.whole_table import PARAMS, ask_for_all_rows

    if ask_for_all_rows():
        print(f"{PARAMS}: study.rows is null, all rows; `git checkout {PARAMS} && auxreid plan` goes back")
    plan()
    demo(jobs)


@app.command()
def demo(jobs: Jobs = JOBS) -> None:
    """Render the sample if it is not there, run everything, publish, print the table."""
    from auxreid.plumbing.graph.repro import run_repro

    if not any(SAMPLE.glob("*")):
        sample(SAMPLE)
    check()
    if code := run_repro([], jobs):
        raise typer.Exit(code)
    publish()
    table()
    print("\nSide by side in MLflow: make ui, which prints the addresses")


def main() -> None:
    """Entry point: the errors that a user can act on are shown without a traceback."""
    run_sources_of_this_checkout()
    try:
        app()
    except (ConfigError, DataError, FullDiskError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def run_sources_of_this_checkout() -> None:
    """In a worktree or a clone, the command starts anew with its sources, if another checkout is the installed one."""
    here = ROOT / "src/auxreid/cli.py"
    if here.is_file() and not here.samefile(__file__):
        search = os.pathsep.join(filter(None, [str(here.parents[1].resolve()), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "auxreid.cli", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONPATH": search})


if __name__ == "__main__":
    main()
