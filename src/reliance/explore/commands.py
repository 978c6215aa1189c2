"""What can be asked on the command line: thin callers of a Study. What is heavy is imported when asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reliance.base.errors import RESULTS, RelianceError

if TYPE_CHECKING:
    from reliance.explore.answers import Answer
    from reliance.explore.study import Study

Results = Annotated[Path, typer.Option(help="folder of results")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document and nothing else")]
Where = Annotated[bool, typer.Option("--where", help="with maps: where in the image (see --png, --html)")]
Png = Annotated[Path | None, typer.Option(help="write the answer as a picture: .png, .pdf or .svg")]
Html = Annotated[Path | None, typer.Option(help="write the answer as a page that needs no other file")]
Variant = Annotated[str, typer.Argument(help="a variant, as `reliance variants` lists them")]
Top = Annotated[int, typer.Option(min=1, max=1000, help="how many are shown")]
Split = Annotated[str, typer.Option(help="train, test, ...")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("explain", explain),
        ("show", show),
        ("find", find),
        ("images", images),
        ("cases", cases),
        ("classes", classes),
        ("init", init),
    ):
        app.command(name)(command)


def explain(
    variant: Variant,
    image: Annotated[list[str], typer.Argument(help="files, or images of the data set as test:12")],
    prompt: Annotated[list[str] | None, typer.Option(help="a text; may be given several times")] = None,
    class_id: Annotated[list[int] | None, typer.Option("--class", help="a class by its number")] = None,
    against: Annotated[str | None, typer.Option(help="explain the difference to this text")] = None,
    contrast: Annotated[
        bool, typer.Option("--contrast", help="explain the difference to the mean of all classes")
    ] = False,
    where: Where = False,
    top: Top = 10,
    png: Png = None,
    html: Html = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """Explain images: what every active unit adds to the output for a prompt, and what no unit carries."""
    asked: list[str | int] = [*(prompt or []), *(class_id or [])]

    def answers(study: Study) -> list[Answer]:
        return [study.explain(one, asked, against, top, contrast, where) for one in image]

    answer(results, variant, answers, ("explanations", as_json, png, html))


def show(
    variant: Variant,
    component: Annotated[str, typer.Argument(metavar="ID[,ID...]", help="numbers of units")],
    split: Split = "train",
    images: Annotated[int, typer.Option(min=0, max=100, help="examples of each")] = 20,
    over: Annotated[
        str | None, typer.Option(help="an image, as a file or test:12: the unit on each of its patches")
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(help="max | mean, over the tokens of an image, as its codes are")
    ] = None,
    where: Where = False,
    png: Png = None,
    html: Html = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """Show units: examples, names, how they fire, what they drive and fool, and what is near them."""

    def answers(study: Study) -> list[Answer]:
        if over is not None:
            return [study.map(one, over) for one in _numbers(component)]
        return [study.component(one, images, split, pooling, where) for one in _numbers(component)]

    answer(results, variant, answers, ("units", as_json, png, html))


def find(
    variant: Variant,
    text: Annotated[str, typer.Argument(help='texts, with ";" between them; "" is the vocabulary')] = "",
    least: Annotated[bool, typer.Option("--least", help="those that fit least")] = False,
    min_activation: Annotated[float, typer.Option(help="mean over the strongest 20 images")] = 0.0,
    min_clarity: Annotated[float, typer.Option(min=-1, max=1)] = -1.0,
    max_clarity: Annotated[float, typer.Option(min=-1, max=1)] = 1.0,
    top: Top = 10,
    png: Png = None,
    html: Html = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """Find units whose strongest images look like texts to the labeller."""

    def answers(study: Study) -> list[Answer]:
        from reliance.explore.search import Filters

        filters = Filters(min_activation, min_clarity, max_clarity)
        return [study.find(text, least=least, top=top, filters=filters)]

    answer(results, variant, answers, ("", as_json, png, html))


def images(
    variant: Variant,
    text: Annotated[str | None, typer.Option(help="a text")] = None,
    image: Annotated[str | None, typer.Option(help="a file, or an image of the data set as test:12")] = None,
    split: Split = "test",
    top: Top = 20,
    png: Png = None,
    html: Html = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """Find the images whose embeddings are nearest to a text or to an image."""

    def answers(study: Study) -> list[Answer]:
        return [study.images(text, image, split, top)]

    answer(results, variant, answers, ("", as_json, png, html))


def cases(
    variant: Variant,
    kind: Annotated[str | None, typer.Option(help="polysemous, compound, typography, spurious, ...")] = None,
    png: Png = None,
    html: Html = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """List the failure cases: whose prompt is fooled, through which unit."""
    answer(results, variant, lambda study: [study.cases(kind)], ("", as_json, png, html))


def classes(
    variant: Variant,
    class_id: Annotated[int | None, typer.Argument(help="one class by its number")] = None,
    png: Png = None,
    html: Html = None,
    results: Results = Path(RESULTS),
    as_json: AsJson = False,
) -> None:
    """List the classes, or what one of them is expected to rely on and what fools it."""
    answer(results, variant, lambda study: [study.classes(class_id)], ("", as_json, png, html))


def init(
    folder: Annotated[Path, typer.Argument(help="a folder of images")],
    encoder: Annotated[
        str, typer.Option(help="an encoder of config/config.yaml, a name:tag of open_clip, a path")
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="file to write; else it is printed")] = None,
    name: Annotated[str | None, typer.Option(help="of the variant; the folder's name without it")] = None,
    force: Annotated[bool, typer.Option("--force", help="write over a file that is there")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at a folder of images and propose a configuration for it, with a comment per line."""
    from reliance.explore.propose import propose

    if out:
        told(lambda: _check_new(out, force))
    proposal = told(lambda: propose(folder, encoder, name))
    if out:
        told(lambda: _write(out, proposal.text.encode()))
    if as_json:
        typer.echo(json.dumps({"saw": proposal.saw, "config": proposal.text, "written": out and str(out)}))
        return
    for line in proposal.saw:
        typer.echo(line, err=not out)
    typer.echo(f"written to {out}: {proposal.command(out)}" if out else proposal.text)


def told(ask: Callable[[], Any]) -> Any:
    """The answer; an error is told in five parts on stderr, and the command ends with 1."""
    try:
        return ask()
    except RelianceError as error:
        typer.echo(f"ERROR {error}", err=True)
        raise typer.Exit(1) from error


def answer(
    results: Path,
    variant: str,
    ask: Callable[[Study], Sequence[Answer]],
    how: tuple[str, bool, Path | None, Path | None],
) -> None:
    """Ask, write the files that are wanted, and print text or one JSON document."""
    key, as_json, png, html = how

    def asked() -> Sequence[Answer]:
        from reliance.explore.study import open_study

        found = ask(open_study(results / variant))
        for i, answer in enumerate(found):
            if png:
                _write(_numbered(png, i, len(found)), _drawn(answer, png))
            if html:
                _write(_numbered(html, i, len(found)), answer.html().encode())
        if len(found) > 1:
            for file in filter(None, (png, html)):
                names = [str(_numbered(file, i, len(found))) for i in range(len(found))]
                typer.echo(f"written: {', '.join(names)}", err=True)
        return found

    found = told(asked)
    if as_json:
        records = [answer.record() for answer in found]
        typer.echo(json.dumps({"variant": variant, key: records} if key else records[0], allow_nan=False))
    else:
        typer.echo("\n\n".join(answer.text() for answer in found))


def _drawn(answer: Answer, file: Path) -> bytes:
    import io

    kind = file.suffix.lower().removeprefix(".") or "png"
    if kind not in ("png", "pdf", "svg"):
        raise RelianceError(
            file,
            "a picture is written as the end of its name says",
            found=file.suffix,
            allowed=".png, .pdf, .svg",
            next_step="choose another name",
        )
    stream = io.BytesIO()
    answer.figure().savefig(stream, format=kind, dpi=160)
    return stream.getvalue()


def _numbered(file: Path, place: int, count: int) -> Path:
    return file if count == 1 else file.with_name(f"{file.stem}-{place + 1}{file.suffix}")


def _check_new(out: Path, force: bool) -> None:
    """Raise RelianceError unless a configuration is written to a new file, in a folder that is there."""
    if out.parent.is_dir() and (force or not out.exists()):
        return
    found = "there is such a file" if out.exists() else f"no folder {out.parent}"
    raise RelianceError(
        out,
        "a proposal is written to a new file in a folder that there is",
        found=found,
        allowed="a path of a new file; --force writes over one",
        next_step="choose another name, or say --force"
        if out.exists()
        else "make the folder, or correct the path",
    )


def _write(file: Path, content: bytes) -> None:
    from reliance.base.writing import atomic

    try:
        with atomic(file) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise RelianceError(
            file,
            "an answer is written to a file in a folder that you may write to",
            found=f"{type(error).__name__}: {error.strerror or error}",
            allowed="a path that can be written",
            next_step="choose another place",
        ) from error


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise RelianceError(
            "ID",
            "units are asked for by their numbers, with commas between them",
            found=text,
            allowed="for example 326 or 326,138",
            next_step="look for units with `reliance find`",
        )
    return [int(part) for part in parts]
