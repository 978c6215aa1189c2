"""SAEs of ours in the formats of others: read back by us, and by the packages where they are installed."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

from reliance.base.artifacts import Stamp
from reliance.base.errors import RelianceError
from reliance.units.sae.files import Sae
from reliance.units.sae.formats.canonical import TOP_K, Foreign, canonical
from reliance.units.sae.formats.said import Encoder, check_said
from reliance.units.sae.formats.source import files_of
from reliance.units.sae.formats.table import read_foreign
from reliance.units.sae.formats.write import WRITERS, Origin, export_sae
from reliance.units.sae.imported import applied
from reliance.units.sae.input_norm import LAYER_NORM

from ..examples import random_sae

D, M, K = 12, 40, 5
STAMP = Stamp("sae", 1, "s" * 64, {"site": "class_token"}, {"encoder": "w" * 64})
ORIGIN = Origin(STAMP, "ViT-B-32", 12)


def an_sae(kind: str = "topk") -> Sae:
    sae = random_sae(M, D, K, activation=kind)
    if kind == "jumprelu":
        return sae._replace(threshold=np.random.default_rng(1).uniform(0.2, 1, M).astype(np.float32), k=M)
    return sae


def x() -> Tensor:
    return torch.randn(32, D, generator=torch.Generator().manual_seed(2))


def export(folder: Path, name: str, sae: Sae) -> Path:
    return export_sae(sae, ORIGIN, name, folder)[0].parent


@pytest.mark.parametrize("kind", ["topk", "jumprelu"])
@pytest.mark.parametrize("name", WRITERS)
def test_what_is_exported_is_imported_again(name: str, kind: str, tmp_path: Path) -> None:
    sae = an_sae(kind)
    found = read_foreign(files_of(export(tmp_path / "out", name, sae)))
    assert found.format == name
    assert (found.foreign.model, bool(found.foreign.site)) == ("ViT-B-32", True)
    again = canonical(found.foreign, width=M)
    for one, other in zip(
        applied(sae, "cpu").reconstruct(x()), applied(again, "cpu").reconstruct(x()), strict=True
    ):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    if name == "plain":
        assert found.foreign.weights == "w" * 64


@pytest.mark.parametrize("kind", ["topk", "jumprelu"])
def test_sae_lens_reads_what_is_exported(kind: str, tmp_path: Path) -> None:
    sae_lens = pytest.importorskip("sae_lens")
    sae = an_sae(kind)
    for norm in (None, LAYER_NORM):
        ours = sae._replace(input_norm=norm)
        theirs = sae_lens.SAE.load_from_disk(export(tmp_path / f"{norm is None}", "saelens", ours))
        with torch.no_grad():
            codes, xhat = theirs.encode(x()), theirs(x())
        code, expected = applied(ours, "cpu").reconstruct(x())
        torch.testing.assert_close(xhat, expected, rtol=1e-4, atol=1e-4)
        if norm is None:
            dense = torch.zeros(32, M).scatter_add_(1, code.indices, code.values)
            torch.testing.assert_close(codes, dense, rtol=1e-4, atol=1e-4)


def overcomplete() -> Any:
    import matplotlib.pyplot as plt

    pytest.importorskip("einops")
    with patch.object(plt.cm, "get_cmap", plt.get_cmap, create=True):
        return pytest.importorskip("overcomplete.sae")


@pytest.mark.parametrize("kind", ["topk", "jumprelu"])
def test_overcomplete_reads_what_is_exported(kind: str, tmp_path: Path) -> None:
    package, sae = overcomplete(), an_sae(kind)
    folder = export(tmp_path / "out", "overcomplete", sae)
    says = json.loads((folder / "config.json").read_text())
    keywords = {"top_k": says["top_k"]} if kind == "topk" else {}
    theirs = getattr(package, says["class"])(
        D, nb_concepts=M, encoder_module=says["encoder_module"], **keywords
    )
    theirs.load_state_dict(torch.load(folder / "sae.pt"))
    theirs.eval()
    mean = torch.tensor(says["mean"])
    with torch.no_grad():
        _, codes, xhat = theirs(x() - mean)
    code, expected = applied(sae, "cpu").reconstruct(x())
    dense = torch.zeros(32, M).scatter_add_(1, code.indices, code.values)
    torch.testing.assert_close(codes, dense, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(xhat + mean, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["TopKSAE", "BatchTopKSAE", "JumpSAE"])
@pytest.mark.parametrize("whole", [True, False])
def test_what_overcomplete_saves_is_read(kind: str, whole: bool, tmp_path: Path) -> None:
    package = overcomplete()
    torch.manual_seed(0)
    keywords: dict[str, Any] = (
        {} if kind == "JumpSAE" else {"top_k": K * (32 if kind == "BatchTopKSAE" else 1)}
    )
    theirs = getattr(package, kind)(D, nb_concepts=M, encoder_module="linear", **keywords)
    theirs.train()
    theirs(x())  # normalises the dictionary, and finds the threshold
    theirs.eval()
    path = tmp_path / "sae.pt"
    torch.save(theirs if whole else theirs.state_dict(), path)
    if kind == "BatchTopKSAE" and not whole:
        return  # its threshold is lost, and k with it
    found = read_foreign(files_of(path), k=K if kind == "TopKSAE" and not whole else None)
    assert found.format == "overcomplete"
    with torch.no_grad():
        _, codes, xhat = theirs(x())
    code, ours = applied(canonical(found.foreign, width=M), "cpu").reconstruct(x())
    dense = torch.zeros(32, M).scatter_add_(1, code.indices, code.values)
    assert (codes > 0).sum() > 32
    torch.testing.assert_close(dense, codes, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours, xhat, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
@pytest.mark.parametrize("norm", ["none", "layer_norm", "constant_norm_rescale"])
def test_what_sae_lens_saves_is_read(architecture: str, norm: str, tmp_path: Path) -> None:
    sae_lens = pytest.importorskip("sae_lens")
    names = {"standard": "Standard", "topk": "TopK", "jumprelu": "JumpReLU", "gated": "Gated"}
    keywords: dict[str, Any] = (
        {"k": K, "rescale_acts_by_decoder_norm": True} if architecture == "topk" else {}
    )
    config = getattr(sae_lens, f"{names[architecture]}SAEConfig")(
        d_in=D, d_sae=M, device="cpu", normalize_activations=norm, **keywords
    )
    theirs = getattr(sae_lens, f"{names[architecture]}SAE")(config)
    g = torch.Generator().manual_seed(0)
    for name, parameter in theirs.named_parameters():
        parameter.data = torch.randn(parameter.shape, generator=g) * (0.3 if parameter.ndim == 1 else 1)
        if name == "threshold":
            parameter.data.abs_()
    theirs.save_model(tmp_path / "sae")
    found = read_foreign(files_of(tmp_path / "sae"))
    assert found.format == "saelens"
    with torch.no_grad():
        xhat = theirs(x())
    _, ours = applied(canonical(found.foreign, width=M), "cpu").reconstruct(x())
    torch.testing.assert_close(ours, xhat, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("site", "layers", "hook"),
    [
        ("class_token", 12, "visual.transformer.resblocks.11.cls"),
        ("block-2", 12, "visual.transformer.resblocks.10.cls"),
        ("block3", 0, "visual.transformer.resblocks.3.cls"),
        ("block-2", 0, "block-2"),
        ("embedding", 12, "embedding"),
    ],
)
def test_hooks_are_known_again(site: str, layers: int, hook: str) -> None:
    origin = Origin(Stamp("sae", 1, "s" * 64, {"site": site}, {}), "ViT-B-32", layers)
    assert origin.hook == hook
    row = np.zeros((1, 4), np.float32)
    foreign = Foreign(row, row[0, :1], row, row[0], TOP_K, model="ViT-B-32", site=hook)
    encoder = Encoder("w" * 64, "ViT-B-32", layers, site)
    assert all("its model" in note for note in check_said(Path("f"), foreign, encoder))
    for other in ("block5", "visual.transformer.resblocks.5.cls", "blocks.5.hook_resid_post"):
        if layers or site == "block3":
            with pytest.raises(RelianceError, match="the model and site"):
                check_said(Path("f"), foreign._replace(site=other), encoder)


def test_blocks_are_the_same_however_they_are_counted() -> None:
    row = np.zeros((1, 4), np.float32)
    foreign = Foreign(row, row[0, :1], row, row[0], TOP_K, site="block10", weights="w", model="ViT-B-32")
    encoder = Encoder("w", "ViT-B-32", 12, "block-2")
    assert check_said(Path("f"), foreign, encoder) == []
    with pytest.raises(RelianceError, match="at site block9"):
        check_said(Path("f"), foreign._replace(site="block9"), encoder)
    hook = foreign._replace(site="blocks.10.hook_resid_post", weights="")
    assert any("class tokens only" in note for note in check_said(Path("f"), hook, encoder))


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    for name in ("saelens", "overcomplete"):
        with pytest.raises(RelianceError, match="signed_topk"):
            export(tmp_path / name, name, an_sae("signed_topk"))
        assert not (tmp_path / name).exists()
    with pytest.raises(RelianceError, match="normalised"):
        export(tmp_path / "o", "overcomplete", an_sae()._replace(input_norm=LAYER_NORM))
    with pytest.raises(RelianceError, match="saelens, overcomplete, plain"):
        export(tmp_path / "p", "prisma", an_sae())


@pytest.mark.parametrize("there", ["a file", "a folder with files", "a link"])
def test_what_is_there_is_never_written_over(there: str, tmp_path: Path) -> None:
    to = tmp_path / "thesis"
    if there == "a file":
        to.write_text("words")
    elif there == "a folder with files":
        to.mkdir()
        (to / "notes.txt").write_text("words")
    else:
        (tmp_path / "elsewhere").mkdir()
        to.symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(RelianceError, match=there):
        export(to, "plain", an_sae())
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_exports_can_be_read_by_others(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folder = export(tmp_path / "empty", "plain", an_sae())
    usual = tmp_path / "usual"
    usual.write_text("")
    assert {path.stat().st_mode for path in folder.iterdir()} == {usual.stat().st_mode}
