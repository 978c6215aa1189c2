"""The command `reliance`: what there is, whether it is whole, and questions. Thin callers of the library."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reliance import __version__
from reliance.base.errors import RESULTS
from reliance.explore import commands, lens_commands
from reliance.explore.commands import AsJson, Results, told

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="What does your CLIP rely on? Results are built with snakemake and asked about here.",
)
commands.register(app)
lens_commands.register(app)


def main() -> None:
    """Entry point of the command."""
    app()


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    asked: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
) -> None:
    """Print the version if it is asked for."""
    if asked:
        typer.echo(f"reliance {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise typer.Exit


@app.command("variants")
def list_variants(results: Results = Path(RESULTS), as_json: AsJson = False) -> None:
    """List the variants below a folder of results: what they are, and how much of each is built."""
    from reliance.explore.catalogue import catalogue

    found = told(lambda: catalogue(results))
    if as_json:
        typer.echo(json.dumps({"results": str(results), "variants": [entry._asdict() for entry in found]}))
        return
    for entry in found:
        sae = "with an SAE" if entry.sae else "without an SAE"
        typer.echo(f"{entry.variant}: {entry.encoder} on {entry.dataset}, {sae}")
        built = f"{entry.built} of {entry.files} files built"
        typer.echo(f"  {built}{f', page {entry.page}' if entry.page else ''}")


@app.command("verify")
def verify_variant(variant: str, results: Results = Path(RESULTS), as_json: AsJson = False) -> None:
    """Check every artifact of a variant, and all it was made from, against its checksum; reads all bytes."""
    from reliance.base.commands import build
    from reliance.explore.describe import options_of
    from reliance.images.changes import sources_gone
    from reliance.running.verify import verify

    outcome = told(lambda: verify(results, variant))
    for found in outcome.broken:
        typer.echo(f"ERROR {found}", err=True)
    gone = told(lambda: sources_gone(outcome.checked))
    for line in gone:
        typer.echo(f"ERROR {line}", err=True)
    for note in outcome.notes():
        typer.echo(f"note: {note}", err=True)
    if as_json:
        record = {
            "variant": variant,
            "checked": [str(path) for path in outcome.checked],
            "images": gone,
            "broken": [{"where": e.where, "rule": e.rule, "found": e.found} for e in outcome.broken],
            "orphans": [{"artifact": str(path), "input": name} for path, name in outcome.orphans],
        }
        typer.echo(json.dumps(record))
    else:
        verdict = outcome.verdict()
        verdict += ", but images are not those that were indexed" if gone else ""
        typer.echo(f"{variant}: {len(outcome.checked)} artifacts checked, {verdict}")
        if outcome.stale:
            page, options = f"{RESULTS}/{variant}/report.html", options_of(results / variant)
            typer.echo(f"next: {build(page, options=options)}")
    raise typer.Exit(1 if outcome.broken or gone or outcome.stale else 0)


@app.command("check-data")
def check_data(
    dataset: str,
    results: Results = Path(RESULTS),
    root: Annotated[str | None, typer.Option(help="folder of the images, if it moved")] = None,
) -> None:
    """Compare the images of a data set with its index: gone, changed and new files; opens none of them."""
    from reliance.base.errors import run_again
    from reliance.images.changes import changes

    found = told(lambda: changes(results / "datasets" / dataset / "index.parquet", root))
    for what, paths in found._asdict().items():
        typer.echo(f"{what}: {len(paths)}" + (f", such as {', '.join(paths[:5])}" if paths else ""))
    if any(found):
        typer.echo(f"next: {run_again('index_images')}")
    raise typer.Exit(1 if any(found) else 0)


@app.command("plan")
def plan_run(
    images: Annotated[list[int] | None, typer.Argument(min=1, help="numbers of images to train on")] = None,
    parts: Annotated[int | None, typer.Option(min=1, help="of an embedding; else of four hours each")] = None,
    width: Annotated[int, typer.Option(min=1, help="of what is read in the encoder")] = 1024,
    embedding: Annotated[int, typer.Option(min=1, help="width of the image embedding")] = 768,
    latents: Annotated[int, typer.Option(min=1, help="of the SAE")] = 30_000,
    active: Annotated[int, typer.Option(min=1, help="latents per image")] = 64,
    cpu: Annotated[bool, typer.Option("--cpu", help="without a GPU")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what a run from images to named components asks for: parts, GPU hours, memory, bytes, jobs."""
    from reliance.plan.outlook import Shape, outlook

    shape = Shape(width, embedding, latents, active, gpu=not cpu)
    found = [outlook(n, shape, parts) for n in images or (1_281_167, 14_000_000, 400_000_000)]
    if as_json:
        typer.echo(json.dumps([{**o._asdict(), "steps": [s._asdict() for s in o.steps]} for o in found]))
        return
    row = "{:18}{:>8}{:>12}{:>10}{:>12}{:>12}".format
    for o in found:
        typer.echo(f"{o.images:,} images in {o.parts} parts")
        typer.echo(row("stage", "jobs", "hours each", "GB each", "GPU hours", "GiB written"))
        for s in o.steps:
            hours, written = f"{s.gpu_hours:,.0f}" if s.gpu_hours else "", s.bytes / 2**30
            each = (f"{s.minutes / 60:,.1f}", f"{s.memory:,.0f}")
            typer.echo(row(s.stage, f"{s.jobs:,}", *each, hours, f"{written:,.1f}" if s.bytes else ""))
        typer.echo(row("all", f"{o.jobs:,}", "", "", f"{o.gpu_hours:,.0f}", f"{o.bytes / 2**30:,.1f}") + "\n")


@app.command("unpack-masks")
def unpack_masks(
    file: Path, to: Annotated[Path, typer.Option(help="folder that gets images/ and masks/")]
) -> None:
    """Unpack ImageNet-Segmentation (gtsegs_ijcv.mat) into images, a data set, and masks, for lens.masks."""
    from reliance.images.imagenet_segmentation import unpack

    found = told(lambda: unpack(file, to))
    typer.echo(f"{found.written} images of {found.classes} classes: {found.images}")
    typer.echo(f"their masks, as lens: {{masks: PATH}}: {found.masks}")


@app.command("check-weights")
def check_weights(variant: str, results: Results = Path(RESULTS), as_json: AsJson = False) -> None:
    """Test the weights of a variant's encoder: zero-shot accuracies, and what was published for them."""
    from reliance.explore.study import open_study
    from reliance.report.opening import weights_told

    found = told(lambda: weights_told(open_study(results / variant)))
    if as_json:
        rows = [dict(zip(found.accuracy.columns, row, strict=True)) for row in found.accuracy.rows]
        record = {"variant": variant, "accuracy": rows, "twins": found.twins, "doubts": found.doubts}
        typer.echo(json.dumps(record))
    else:
        for row in (found.accuracy.columns, *found.accuracy.rows):
            typer.echo("{:34}{:>16}{:>16}".format(*map(str, row)))
        for text in found.twins:
            typer.echo(f"note: {text}")
    for text in found.doubts:
        typer.echo(f"WARNING {text}", err=True)
    raise typer.Exit(1 if found.doubts else 0)


@app.command("serve")
def serve_variant(
    variant: str,
    results: Results = Path(RESULTS),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free")] = 8765,
    host: Annotated[str, typer.Option(help="another than this machine's own lets others in")] = "127.0.0.1",
) -> None:
    """Serve the atlas of a variant to a browser, with questions to its models: texts, images, switches."""
    from reliance.explore.server import serve
    from reliance.explore.study import open_study

    def warn(text: str) -> None:
        typer.echo(text, err=True)

    told(lambda: serve(open_study(results / variant), host, port, typer.echo, warn))


@app.command("export-sae")
def write_sae(
    variant: str,
    to: Annotated[Path, typer.Option(help="folder that is written")],
    form: Annotated[str, typer.Option("--format", help="saelens | overcomplete | plain")] = "plain",
    results: Results = Path(RESULTS),
) -> None:
    """Write the SAE of a variant in the format of another package."""
    from reliance.explore.export import export_sae_of

    for path in told(lambda: export_sae_of(results / variant, form, to)):
        typer.echo(path)


@app.command("export-units")
def write_units(
    variant: str,
    to: Annotated[Path, typer.Option(help="folder that is written")],
    form: Annotated[str, typer.Option("--format", help="neuronpedia | semanticlens")],
    results: Results = Path(RESULTS),
) -> None:
    """Write what is known of the latents of a variant in the files of another tool."""
    from reliance.explore.export import export_units_of

    for path in told(lambda: export_units_of(results / variant, form, to)):
        typer.echo(path)


@app.command("repair")
def repair_variant(
    variant: str,
    case: Annotated[str | None, typer.Option(help="one case by its id")] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="folder of the export; else repaired/ of the variant, or repaired/CASE/"),
    ] = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """Show what was tried against each failure case, and write the mended classifier."""
    from reliance.explore.mended import mend, mend_lines

    found = told(lambda: mend(results / variant, case, to))
    if as_json:
        typer.echo(
            json.dumps({"variant": variant, "rows": found.rows, "written": list(map(str, found.files))})
        )
        return
    for line in mend_lines(found):
        typer.echo(line)


if __name__ == "__main__":
    main()
