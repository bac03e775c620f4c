"""The command line: `auxreid --help`. Every command works at the top of the repository that the user is in."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import typer

from auxreid import __version__
from auxreid.plumbing.base.errors import ConfigError, DataError, FullDiskError
from auxreid.plumbing.base.interrupted import INTERRUPTED, tell_interrupted
from auxreid.plumbing.base.repository_root import find_root, go_to_root

Format = Literal["latex", "csv", "markdown", "text"]
OUTPUT = typer.Option("--output", "-o", help="file to write")
GITS_OWN = "merge_lock"  # called at the top of a worktree in the middle of a merge, when files may be missing


class Commands(typer.Typer):
    """Commands that start at the repository's top; a path that one gets is where the user is."""

    def command(self, *names: str, **more: Any) -> Callable:
        register = super().command(*names, **more)

        def registered(function: Callable) -> Callable:
            register(function if function.__name__ == GITS_OWN else at_the_top(function))
            return function

        return registered


def at_the_top(function: Callable) -> Callable:
    """What a command does before its own work, once its arguments are read: `--help` needs no repository."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> None:
        from auxreid.plumbing.dvc.unfinished_queueing import undo_unfinished
        from auxreid.plumbing.dvc.unfinished_study import undo_study
        from auxreid.plumbing.dvc.without_git import tell_dvc
        from auxreid.plumbing.team.own_folders import look_after

        start = go_to_root()
        if Path.cwd() != start:  # at the top, paths stay as they are written
            options = {name: as_meant(value, start) for name, value in options.items()}
        for line in undo_unfinished(ROOT) + undo_study(ROOT) + tell_dvc(ROOT) + look_after(ROOT):
            print(line, file=sys.stderr)
        try:
            function(*args, **options)
        except KeyboardInterrupt:
            tell_interrupted()
            raise typer.Exit(INTERRUPTED) from None

    return run


def as_meant(value: Any, start: Path) -> Any:
    """A path, or each of several, relative to where the user is; any other value as it is."""
    if isinstance(value, Path):
        return Path(os.path.normpath(start / value))
    return [as_meant(one, start) for one in value] if isinstance(value, list) else value


app = Commands(context_settings={"help_option_names": ["-h", "--help"]})
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


def show_version(asked: bool) -> None:
    if asked:
        print(f"auxreid {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show it and exit.")]


@app.callback(invoke_without_command=True)
def auxreid(
    context: typer.Context,
    version: Version = False,
) -> None:
    """Re-identification with auxiliary information."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def check() -> None:
    """Validate params.yaml, pipeline/graph.yaml and .dvc/config; list rows that cannot run; look for files."""
    from auxreid.plumbing.graph.applicability import exclusions
    from auxreid.plumbing.graph.borrowed import prediction_lines
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
    for line in exclusions(config) + prediction_lines(config) + folder_remarks(config) + remarks:
        print(line)
    if faults := faults + feasibility_faults(config):
        raise DataError("\n".join(["the study cannot run:", *faults]))


@app.command()
def plan() -> None:
    """Write the table of runs and what DVC shows of them, pipeline/*.yaml, from params.yaml; prune dvc.lock."""
    from auxreid.plumbing.base.few import few
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
        print(f"dvc.lock: stages that are gone: {few(gone)}; DVC's cache and results/ keep what they made")
    for line in exclusions(config):
        print(line)


@app.command()
def rows() -> None:
    """Print what each row of `ablations` says, and the seeds of those that the study runs."""
    from auxreid.plumbing.graph.borrowed import prediction_lines
    from auxreid.plumbing.settings.load import load_config
    from auxreid.plumbing.settings.row_overview import print_rows

    config = load_config()
    print_rows(config)
    for line in prediction_lines(config):
        print(line)


@app.command()
def sample(
    root: Annotated[Path | None, typer.Option(help=f"to render into, else {SAMPLE}")] = None,
) -> None:
    """Render the sample people and dogs."""
    from auxreid.sample.render import render_sample

    render_sample(root or SAMPLE)


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


@app.command()
def queue(
    set_param: Annotated[
        list[str], typer.Option("--set-param", "-S", metavar="KEY=VALUES", help="as `dvc exp run -S`")
    ],
    name: Annotated[str | None, typer.Option("--name", "-n", help="of the experiment; else DVC chooses one")] = None,
) -> None:
    """Put values of keys of params.yaml into DVC's queue, one experiment for each combination, checked beforehand."""
    from auxreid.plumbing.graph.queue import queue as put_into_queue

    for line in put_into_queue(ROOT, set_param, name):
        print(line, flush=True)


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
    """Mirror the records of results/ and of DVC's experiments into MLflow; register the best encoders."""
    from auxreid.plumbing.mirror.publish import format_report
    from auxreid.plumbing.mirror.publish import publish as mirror
    from auxreid.plumbing.settings.load import load_config

    print(format_report(mirror(ROOT, registry=load_config().registry)))


@app.command()
def runs(
    experiments: Annotated[bool, typer.Option("--experiments", help="those of DVC's experiments alone")] = False,
) -> None:
    """Print which MLflow run shows which result of dvc.lock and of DVC's experiments, and what has no counterpart."""
    from auxreid.plumbing.mirror.overview import overview, print_overview, print_trials, trial_overview

    if not experiments:
        print_overview(overview(ROOT))
    print_trials(tried := trial_overview(ROOT))
    if experiments and not tried:
        print("DVC has no experiment here whose results are not the present ones")


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
    """Git's merge driver for dvc.lock and what `auxreid plan` writes, called by Git once `make` has set it up."""
    from auxreid.plumbing.team.merge_lock import merge_files

    print(merge_files(base, ours, theirs, name), file=sys.stderr)


@app.command()
def table(
    form: Annotated[Format | None, typer.Option("--format", help="for a paper; else as `compare` showed it")] = None,
    output: Annotated[Path | None, OUTPUT] = None,
    thesis: Annotated[bool, typer.Option("--thesis", help="with the thesis's figures, of Market-1501")] = False,
    controls: Annotated[bool, typer.Option("--controls", help="rows beside their controls alone")] = False,
) -> None:
    """Print the study's tables, or write the comparisons for a paper: the ending of the file tells the format."""
    from auxreid.plumbing.graph.table import build_graph, load_study

    config = load_study()
    graph = build_graph(config)
    datasets = list(graph["compare"])
    if form is None and output is None and not thesis and not controls:
        _print_tables([(stage, dataset) for stage in TABLES for dataset in graph[stage]])
        return
    from auxreid.plumbing.report.paper_table import read_paper_table
    from auxreid.plumbing.report.table_formats import format_of

    form = form or ("text" if output is None else format_of(output))
    tables = [read_paper_table(dataset, config.compare.level, thesis) for dataset in datasets if not controls]
    _write_tables(tables or controls_tables(datasets), form, output)


def controls_tables(datasets: list[str]) -> list:
    """Rows beside their controls, of the data sets that have any."""
    from auxreid.plumbing.report.controls_table import read_controls

    found = [read_controls(dataset) for dataset in datasets]
    if not any(found):
        raise DataError("compare.controls of params.yaml names no controls of any row")
    return [table for table in found if table is not None]


def _write_tables(tables: list, form: Format, output: Path | None) -> None:
    """To a file, or else to the console."""
    from auxreid.plumbing.base.files import write_text
    from auxreid.plumbing.report.table_formats import format_tables

    text = format_tables(tables, form)
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)


TABLES = {  # stages, and the files of theirs that are tables
    "compare": ("table.md", "controls.md"),
    "metric_table": ("table.md",),
    "search": ("table.md",),
}


def _print_tables(places: list[tuple[str, str]]) -> None:
    """Of stages and data sets."""
    from rich.console import Console
    from rich.markdown import Markdown

    for stage, dataset, name in ((*place, name) for place in places for name in TABLES[place[0]]):
        path = Path(f"results/{stage}/{dataset}/{name}")
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:  # DVC takes it away while its stage runs
            raise DataError(f"{path}: {error.strerror}; make it with: dvc repro {stage}@{dataset}") from None
        if text:  # no row may have controls
            Console(width=None if sys.stdout.isatty() else 160).print(Markdown(text))


@app.command()
def costs(
    form: Annotated[Format | None, typer.Option("--format", help="else by the ending of the file, or text")] = None,
    output: Annotated[Path | None, OUTPUT] = None,
) -> None:
    """Print what each row costs beside what it gains: seconds, parameters, milliseconds per image, needs at test."""
    from auxreid.plumbing.graph.table import build_graph, load_study
    from auxreid.plumbing.report.costs import read_costs
    from auxreid.plumbing.report.table_formats import format_of

    config = load_study()
    form = form or ("text" if output is None else format_of(output))
    _write_tables(read_costs(config, build_graph(config)), form, output)


@app.command()
def report(
    output: Annotated[Path, OUTPUT] = Path("report.html"),
) -> None:
    """Write the study as one page that needs no server and no network: tables, figures, ranked lists, parameters."""
    from auxreid.plumbing.base.files import write_text
    from auxreid.plumbing.graph.table import build_graph, load_study
    from auxreid.plumbing.report.page import study_page
    from auxreid.plumbing.report.study import read_study

    config = load_study()
    write_text(output, study_page(read_study(config, build_graph(config))))
    print(output)


Jobs = Annotated[int, typer.Option(min=1, help="stages at a time")]
JOBS = min(os.cpu_count() or 1, 4)


@app.command()
def study(jobs: Jobs = JOBS) -> None:
    """The demo with all rows, those of the metric model too: no `study.rows`, no `study.metric_rows`, plan, demo."""
    from auxreid.plumbing.graph.whole_table import ask_for_all_rows
    from auxreid.plumbing.settings.load import PARAMS, load_config

    load_config()
    if ask_for_all_rows():
        emptied = "study.rows and study.metric_rows are null, all rows"
        print(f"{PARAMS}: {emptied}; `git checkout {PARAMS} && auxreid plan` goes back")
    plan()
    demo(jobs)


@app.command()
def demo(jobs: Jobs = JOBS) -> None:
    """Render the sample if it is not there, run everything, publish, print the table."""
    from auxreid.plumbing.graph.repro import run_repro

    if not any(SAMPLE.glob("*")):
        sample()
    check()
    if code := run_repro([], jobs):
        raise typer.Exit(code)
    publish()
    table()
    print("\nSide by side in MLflow: make ui, which prints the addresses")


Row = Annotated[str | None, typer.Option(help="of the study; without it the registered encoder")]
EncoderSeed = Annotated[int | None, typer.Option("--seed", help="of the row; its first one by default")]
EncoderDataset = Annotated[str | None, typer.Option("--dataset", help="of the study, if several have rows")]
EncoderFile = Annotated[Path | None, typer.Option("--encoder", help="a local encoder.safetensors, or a metric row's")]
Camera = Annotated[int | None, typer.Option(help="of the photographs, for rows that take cameras")]
Descriptors = Annotated[Path | None, typer.Option(help="descriptors.safetensors that were fitted to the encoder")]
AttributeModel = Annotated[Path | None, typer.Option(help="model.safetensors that predicts what descriptors take")]
HRNet = Annotated[Path | None, typer.Option(help="hrnet.safetensors, to find the joints where they are ranked too")]


def with_files(chosen, **named: Path | None):
    """The encoder with the files that the options name; a row of the study brings its own."""
    from dataclasses import replace

    given = {name: file for name, file in named.items() if file is not None}
    for name, file in given.items():
        if getattr(chosen, name) is not None:
            raise ConfigError(f"--{name} {file}: {chosen.name} has its own, {getattr(chosen, name)}")
    return replace(chosen, **given)


def chosen_encoder(file: Path | None, row: str | None, dataset: str | None, seed: int | None):
    """The encoder that the options name: a file, a row of the study, or else the registered one of its data set."""
    from auxreid.plumbing.graph.trained import (
        dataset_with_rows,
        given_file,
        has_metric_rows_alone,
        trained_encoder,
    )
    from auxreid.plumbing.settings.load import load_config

    if file is not None:
        if row is not None or dataset is not None or seed is not None:
            raise ConfigError(f"--encoder {file}: a file has no row, data set or seed to be chosen by")
        return given_file(file)
    config = load_config()
    if row is not None:
        return trained_encoder(config, row, dataset, seed)
    if seed is not None:
        raise ConfigError(f"--seed {seed}: the registered encoder has its own; name a row by --row")
    from auxreid.plumbing.mirror.registered import registered_encoder, registered_metric_row

    if has_metric_rows_alone(config, dataset):
        return registered_metric_row(ROOT, config.registry, dataset)
    return registered_encoder(ROOT, config.registry, dataset_with_rows(config, dataset))


def encoder_alone(chosen, command: str):
    """The encoder, unless it is a metric row's or ranked by descriptors, which the command does not take."""
    from dataclasses import replace

    if chosen.is_metric:
        raise ConfigError(f"{chosen.name}: {command} takes no metric row; embed and rank do")
    if chosen.descriptors is not None:
        raise ConfigError(f"{chosen.name}: {command} takes no row that ranks by descriptors; embed and rank do")
    return replace(chosen, hrnet=None)


def told_usable(paths: list[Path]):
    """The photographs that can be used; the others are told with the reasons."""
    from auxreid.serving.features import usable_photos

    usable, bad = usable_photos(paths)
    for one in bad:
        print(f"left out: {one.path}: {one.reason}", file=sys.stderr)
    return usable


def about_encoder(chosen) -> dict[str, object]:
    """What a file made with an encoder says of it."""
    from auxreid.plumbing.base.files import file_hash

    files = {"encoder_sha256": chosen.path, "backbone_sha256": chosen.backbone}
    files |= {"descriptors_sha256": chosen.descriptors, "hrnet_sha256": chosen.hrnet}
    files |= {"attributes_sha256": chosen.attributes}
    return {name: file_hash(path) for name, path in files.items() if path is not None} | chosen.about()


@app.command()
def embed(
    photos: Annotated[list[Path], typer.Argument(help="photographs, and folders of them")],
    out: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write")],
    encoder: EncoderFile = None,
    row: Row = None,
    seed: EncoderSeed = None,
    dataset: EncoderDataset = None,
    camera: Camera = None,
    descriptors: Descriptors = None,
    hrnet: HRNet = None,
    attributes: AttributeModel = None,
) -> None:
    """Embed photographs as stage `evaluate` or `metric` does: a file with their paths and features."""
    from auxreid.serving.photos import image_files

    paths = image_files(photos)
    files = {"descriptors": descriptors, "hrnet": hrnet, "attributes": attributes}
    chosen = with_files(chosen_encoder(encoder, row, dataset, seed), **files)
    from auxreid.serving.features import embedded, open_network, write_features

    usable = told_usable(paths)
    features = embedded(open_network(chosen), usable, camera)
    write_features(out, [photo.name for photo in usable], features, about_encoder(chosen))
    print(f"{out}: {len(usable)} photographs, {features.shape[1]} numbers each, by {chosen.name}")


@app.command()
def rank(
    photos: Annotated[list[Path], typer.Argument(metavar="QUERY... GALLERY", help="of one individual; a folder")],
    out: Annotated[Path, typer.Option("--output", "-o", help="JPEG to write")],
    encoder: EncoderFile = None,
    row: Row = None,
    seed: EncoderSeed = None,
    dataset: EncoderDataset = None,
    camera: Camera = None,
    descriptors: Descriptors = None,
    hrnet: HRNet = None,
    attributes: AttributeModel = None,
) -> None:
    """Rank a folder of photographs for one individual, whose photographs come first: a picture and a table."""
    from auxreid.serving.photos import image_files

    if len(photos) < 2:
        raise ConfigError(f"{photos[0]}: a query and a folder to be ranked are needed: auxreid rank QUERY GALLERY")
    queries, gallery = image_files(photos[:-1]), image_files(photos[-1:])
    files = {"descriptors": descriptors, "hrnet": hrnet, "attributes": attributes}
    chosen = with_files(chosen_encoder(encoder, row, dataset, seed), **files)
    from auxreid.serving.features import embedded, open_network
    from auxreid.serving.photos import open_photos
    from auxreid.serving.ranked import draw, print_places, without_queries
    from auxreid.serving.ranked import rank as ranked

    network = open_network(chosen)
    if network.ranks_cameras:
        told = "measures images from the mean of their camera's, and here all are of one; take embed, camera by camera"
        raise ConfigError(f"{chosen.name}: {told}")
    asking = list(open_photos(queries))
    usable = told_usable(without_queries(gallery, queries))
    features = embedded(network, [*asking, *usable], camera)
    places = ranked(features[: len(asking)], features[len(asking) :], usable)
    draw(asking, places, out)
    print_places(places)
    print(f"{out}: the first {len(places)} of {len(usable)}, by {chosen.name}")


@app.command()
def export(
    row: Annotated[str, typer.Argument(help="of the study")],
    out: Annotated[Path, typer.Option("--output", "-o", help="ONNX file to write")],
    seed: EncoderSeed = None,
    dataset: EncoderDataset = None,
) -> None:
    """Write a row's encoder as ONNX, once ONNX Runtime gives what torch gives."""
    chosen = encoder_alone(chosen_encoder(None, row, dataset, seed), "export")
    from auxreid.serving.embedding import Encoder
    from auxreid.serving.onnx_export import export as export_checked

    difference = export_checked(Encoder(chosen.path), out, about_encoder(chosen))
    print(f"{out}: {chosen.name}; the largest difference from torch on random images is {difference:.2g}")


@app.command()
def assemble(
    places: Annotated[list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="of photographs, videos")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="folder of the data set, to write")] = Path("raw/mydogs"),
    encoder: EncoderFile = None,
    row: Annotated[str | None, typer.Option(help="of the study, whose encoder is taken")] = None,
    seed: EncoderSeed = None,
    dataset: Annotated[str | None, typer.Option(help="of the study, whose row or registered encoder is taken")] = None,
    camera: Camera = None,
    attributes: Annotated[Path | None, typer.Option(help="a model.safetensors of stage attributes")] = None,
    detector: Annotated[
        Path | None, typer.Option(help="weights of torchvision's ssdlite320_mobilenet_v3_large: finds 'no dog'")
    ] = None,
    crops: Annotated[Path | None, typer.Option(help="CSV: path and photo, the photograph that a crop is of")] = None,
    rate: Annotated[float, typer.Option(min=0.01, help="frames of a second of video")] = 1.0,
    split_seed: Annotated[int, typer.Option(min=0, help="of the splits of new dogs")] = 0,
    review: Annotated[bool, typer.Option("--review", help="then serve the review, which writes decisions.csv")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of the review on 127.0.0.1; 0: any")] = 5010,
) -> None:
    """Make a data set of dogs out of photographs and videos; without an encoder's option, by the recipe `dogs`."""
    from auxreid.assembling.detector import detector_network
    from auxreid.assembling.networks import attribute_network, backbone_network, encoder_network
    from auxreid.assembling.page import write_page
    from auxreid.assembling.report import summary
    from auxreid.assembling.run import Wishes
    from auxreid.assembling.run import assemble as assembled
    from auxreid.plumbing.settings.load import load_config

    if encoder is row is dataset is seed is None:
        network = backbone_network("dogs", load_config().recipes["dogs"].attributes)
    else:
        chosen = encoder_alone(chosen_encoder(encoder, row, dataset, seed), "assemble")
        network = encoder_network(chosen.path, chosen.precision, chosen.name, camera)
    model = None if attributes is None else attribute_network(attributes)
    finder = None if detector is None else detector_network(detector)
    wishes = Wishes(out, network, model, finder, crops, rate, split_seed)
    assembly = assembled(places or [], wishes)
    write_page(assembly, out)
    if assembly.changed:
        print(f"otherwise than in the last run: {'; '.join(assembly.changed)}", file=sys.stderr)
    print("\n".join([*summary(assembly.found), f"{out}: frames.csv is the data set, review.html its review"]))
    if review:
        serve_review(assembly, out, port)


def serve_review(assembly: Any, out: Path, port: int) -> None:
    """Serve the review until Ctrl-C."""
    from auxreid.assembling.page import page_data
    from auxreid.assembling.server import open_review
    from auxreid.assembling.workplace import Workplace

    server = open_review(Workplace(out), page_data(assembly, out.name), port)
    print(f"review: {server.address} writes {out}/decisions.csv; Ctrl-C ends it", flush=True)
    server.serve_forever()


Detector = Annotated[
    Path | None,
    typer.Option(help="weights of torchvision's ssdlite320_mobilenet_v3_large: photographs are cropped to their dogs"),
]


@app.command()
def search(
    photos: Annotated[list[Path] | None, typer.Argument(metavar="[PHOTO]...", help="of one dog; folders too")] = None,
    text: Annotated[str, typer.Option(help="a description in English or Russian")] = "",
    stated: Annotated[
        list[str] | None, typer.Option(metavar="ATTRIBUTE=WORDS", help="size=small,medium or ears!=drop; repeatable")
    ] = None,
    near: Annotated[str | None, typer.Option(metavar="LAT,LON,KM", help="where: 55.75,37.62,5")] = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="not before 2024-05-17")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="not after 2024-05-17")] = None,
    dogs: Annotated[int, typer.Option(min=1, max=100, help="how many are shown")] = 10,
    rerank: Annotated[bool, typer.Option("--rerank", help="k-reciprocal re-ranking of the candidates")] = False,
    dataset: Annotated[str | None, typer.Option("--dataset", help="whose search, if several have one")] = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", help="picture to write: .png or .jpg")] = None,
    detector: Detector = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the whole answer as JSON")] = False,
    language: Annotated[Literal["en", "ru"], typer.Option(help="of the reasons")] = "en",
) -> None:
    """Search a data set's dogs by photographs of one, a description, what is stated, place and date."""
    from auxreid.lostpets.asked import day_of, near_of, stated_of
    from auxreid.lostpets.query import Facts, Query
    from auxreid.lostpets.shown import check_format

    facts = Facts(
        None if near is None else near_of(near),
        None if since is None else day_of("--since", since),
        None if until is None else day_of("--until", until),
    )
    query = Query((), (), stated_of(stated or []), text, facts, dogs, rerank)
    if out is not None:
        check_format(out)
    from auxreid.lostpets.command import answer_of

    answer_of(query, photos or [], dataset, out, as_json, language, detector)


Home = Annotated[Path, typer.Option(help="folder of the base, reports and photographs")]
HOME = Path("pets")


@app.command()
def index(
    photos: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="of a folder for each dog; or a CSV: path,dog,...")
    ] = None,
    home: Home = HOME,
    dataset: Annotated[str | None, typer.Option(help="whose search it is, where several have one")] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="first make the base anew, by the present networks")
    ] = False,
    address: Annotated[str | None, typer.Option(metavar="RAY", help="look at the photographs on this cluster")] = None,
) -> None:
    """Add photographs to the base of the lost-pet search, also while it is served; what is there is passed over."""
    from auxreid.lostpets.indexing.home import open_home_base
    from auxreid.lostpets.indexing.home import rebuild as rebuilt
    from auxreid.lostpets.indexing.run import index_photographs, summary
    from auxreid.lostpets.service.serve import alone_in
    from auxreid.lostpets.study import open_made

    made = open_made(dataset)
    if rebuild:
        with alone_in(home):
            for source in rebuilt(home, made.rows):
                print(
                    f"{home}: no longer has the photographs of {source}: index them again; reports come back by serve"
                )
    if photos is not None and address is not None:
        from auxreid.lostpets.indexing.on_cluster import looked_on_cluster
        from auxreid.plumbing.fanout.cluster import connected

        with connected(address):
            print(summary(index_photographs(home, made, photos, looked_on_cluster)))
    elif photos is not None:
        print(summary(index_photographs(home, made, photos)))
    base = open_home_base(home, made.rows)
    print(f"{home}: {base.count()} photographs of {base.dogs()} dogs, by {base.header.model_name}")


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="address to answer at; others than 127.0.0.1 need a proxy with TLS")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any")] = 8000,
    home: Home = HOME,
    dataset: Annotated[str | None, typer.Option(help="whose search is served, where several have one")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(metavar="NAME", help="name to answer under as well")] = None,
    messages_to: Annotated[
        str | None, typer.Option(metavar="URL", help="messages to contacts are posted here, not kept in HOME/outbox")
    ] = None,
    detector: Detector = None,
    private_webhooks: Annotated[
        bool, typer.Option("--private-webhooks", help="webhooks may lead to this machine and to private networks")
    ] = False,
) -> None:
    """Serve the lost-pet search: a page and an API, until Ctrl-C."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin between two searches starve all others
    from auxreid.lostpets.service.serve import serve_study
    from auxreid.lostpets.service.settings import Settings

    settings = Settings(messages_to=messages_to, private_webhooks=private_webhooks)
    serve_study(home, dataset, host, port, allow_host or [], settings, detector)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="archive to write")],
    home: Home = HOME,
) -> None:
    """Write the lost-pet service's folder to one file, also while it is served."""
    from auxreid.lostpets.service.backup import HOLDS
    from auxreid.lostpets.service.backup import backup as write

    count = write(home, file)
    print(f"{file}: {count} files; it {HOLDS}")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="that `auxreid backup` wrote")],
    home: Home = HOME,
) -> None:
    """Make the lost-pet service's folder from a backup, once all of it is checked."""
    from auxreid.lostpets.service.backup import restore as read

    print(f"{home}: {read(file, home)} files, as they were in {file}")


@app.command()
def pets(
    jobs: Jobs = JOBS,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any")] = 8000,
    home: Home = HOME,
    only_make: Annotated[bool, typer.Option("--only-make", help="make the search, and serve nothing")] = False,
) -> None:
    """Make the lost-pet search of the sample's dogs, and serve it; params.yaml stays as it is."""
    from contextlib import nullcontext

    from auxreid.plumbing.graph.for_a_while import study_for_a_while
    from auxreid.plumbing.graph.pets import DATASET, is_asked_for, pets_study, target
    from auxreid.plumbing.graph.repro import run_repro
    from auxreid.plumbing.settings.load import load_config

    if not any(SAMPLE.glob("*")):
        sample()
    config = load_config()
    study = nullcontext() if is_asked_for(config) else study_for_a_while(ROOT, pets_study(config))
    with study:
        if code := run_repro([target()], jobs):
            raise typer.Exit(code)
    if not only_make:
        serve(port=port, home=home, dataset=DATASET)


def main() -> None:
    """Entry point: the errors that a user can act on are shown without a traceback."""
    run_sources_of_this_checkout()
    try:
        app(prog_name="auxreid")
    except (ConfigError, DataError, FullDiskError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def run_sources_of_this_checkout() -> None:
    """In a worktree or a clone, the command starts anew with its sources, if another checkout is the installed one."""
    with suppress(ConfigError):  # outside any, the command itself says so
        here = find_root() / "src/auxreid/cli.py"
        if here.is_file() and not here.samefile(__file__):
            search = os.pathsep.join(filter(None, [str(here.parents[1].resolve()), os.environ.get("PYTHONPATH")]))
            command = [sys.executable, "-m", "auxreid.cli", *sys.argv[1:]]
            os.execve(sys.executable, command, os.environ | {"PYTHONPATH": search})


if __name__ == "__main__":
    main()
