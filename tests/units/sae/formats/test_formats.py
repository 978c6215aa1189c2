"""SAEs of others, read: codes and reconstructions are those of their format's own formula."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from reliance.base.errors import RelianceError
from reliance.units.sae.files import Sae, load_sae, save_sae
from reliance.units.sae.formats.canonical import RefusedError as Refused
from reliance.units.sae.formats.canonical import canonical, refusal
from reliance.units.sae.formats.source import files_of
from reliance.units.sae.formats.table import read_foreign
from reliance.units.sae.imported import applied

from . import made
from .made import FORMATS, K, M, vectors


def imported(path: Path, name: str = "auto", k: int | None = None) -> tuple[Sae, str]:
    found = read_foreign(files_of(path), name, k)
    try:
        return canonical(found.foreign, width=M), found.format
    except Refused as error:
        raise refusal(found.path, found.format, error) from error


def dense(sae: Sae, x: Tensor) -> tuple[Tensor, Tensor]:
    """(codes [n, m], xhat [n, d])."""
    code, xhat = applied(sae, "cpu").reconstruct(x)
    return torch.zeros(len(x), sae.m).scatter_add_(1, code.indices, code.values), xhat


@pytest.mark.parametrize("name", FORMATS)
def test_codes_and_reconstructions_are_those_of_the_format(name: str, tmp_path: Path) -> None:
    expected, make = FORMATS[name]
    theirs, x = make(tmp_path), vectors()
    sae, found = imported(theirs.path, k=theirs.k)
    assert found == expected
    codes, xhat = dense(sae, x)
    assert (theirs.codes(x) != 0).sum() > 32
    torch.testing.assert_close(codes, theirs.codes(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(xhat, theirs.reconstruct(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(sae.decoder_weight, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_imported_is_kept_by_our_file(name: str, tmp_path: Path) -> None:
    """Written and read again, and imported from there as plain tensors."""
    theirs, x = FORMATS[name][1](tmp_path), vectors()
    sae, _ = imported(theirs.path, k=theirs.k)
    path = tmp_path / "ours" / "sae.safetensors"
    save_sae(path, sae, {"site": "class_token"}, {"encoder": "w" * 64})
    again, _ = load_sae(path)
    plain, found = imported(path)
    assert found == "plain"
    for one in (again, plain):
        assert one.activation == sae.activation
        torch.testing.assert_close(dense(one, x)[1], dense(sae, x)[1], rtol=1e-5, atol=1e-5)


def test_a_latent_left_out_takes_its_code_from_a_normalised_x_too(tmp_path: Path) -> None:
    theirs, x = made.saelens(tmp_path / "sae", "standard", "layer_norm"), vectors()
    sae, _ = imported(theirs.path)
    codes, xhat = dense(sae, x)
    strongest = int(codes[0].argmax())
    sae.encoder_weight[strongest], sae.encoder_bias[strongest] = 0, -1
    _, without = dense(sae, x)
    gone = codes[0, strongest] * torch.from_numpy(sae.decoder_weight[strongest])
    torch.testing.assert_close(xhat[0] - without[0], gone, rtol=1e-4, atol=1e-4)


def test_batch_top_k_is_read_from_its_threshold(tmp_path: Path) -> None:
    theirs = made.saelens(tmp_path / "sae", "jumprelu")
    tensors = load_file(theirs.path / "sae_weights.safetensors")
    save_file({**tensors, "threshold": torch.full((M,), 0.9)}, theirs.path / "sae_weights.safetensors")
    sae, _ = imported(theirs.path)
    np.testing.assert_allclose(sae.threshold, 0.9 * np.linalg.norm(tensors["W_dec"], axis=1), rtol=1e-5)


def refused(path: Path, match: str, **how: object) -> RelianceError:
    with pytest.raises(RelianceError, match=match) as caught:
        imported(path, **how)  # type: ignore[arg-type]
    return caught.value


def change(folder: Path, **config: object) -> Path:
    import json

    path = folder / "cfg.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"normalize_activations": "expected_average_only_in"}, "factor is not in the file"),
        ({"normalize_activations": "covariance_whitening"}, "factor is not in the file"),
        ({"architecture": "transcoder"}, "architecture is transcoder"),
        ({"reshape_activations": "hook_z"}, "hook_z"),
        ({"k": None}, "does not say k"),
        ({"k": 1000}, "k = 1000"),
    ],
)
def test_what_a_saelens_file_asks_for_and_we_cannot_hold_is_refused(
    config: dict[str, object], reason: str, tmp_path: Path
) -> None:
    refused(change(made.saelens(tmp_path / "sae", "topk").path, **config), reason)


def test_top_k_among_rows_of_several_lengths_is_refused(tmp_path: Path) -> None:
    path = made.saelens(tmp_path / "sae", "topk", rescale_acts_by_decoder_norm=True).path
    refused(change(path, rescale_acts_by_decoder_norm=False), "would choose others")


def test_other_refusals_name_the_reason(tmp_path: Path) -> None:
    path = made.sparsify(tmp_path / "skip").path
    refused(change(path, skip_connection=True), "skip connection")
    refused(change(path, skip_connection=False, activation="groupmax"), "groupmax")
    refused(change(path, activation="topk", transcode=True), "transcoder")
    refused(made.overcomplete(tmp_path / "o.pt").path, "does not say k")
    refused(made.paper(tmp_path / "p.ckpt").path, "does not say k")
    state = torch.load(made.overcomplete(tmp_path / "n.pt").path)
    torch.save({**state, "encoder.mlp_blocks.0.0.weight": torch.ones(3, 3)}, tmp_path / "n.pt")
    refused(tmp_path / "n.pt", "encoder is not linear")
    torch.save({**state, "encoder.final_block.1.weight": torch.ones(M)}, tmp_path / "n.pt")
    refused(tmp_path / "n.pt", "layer norm over latents")
    torch.save({**state, "dictionary._weights": 3 * state["dictionary._weights"]}, tmp_path / "n.pt")
    refused(tmp_path / "n.pt", "another normalisation than l2")


def test_unknown_tensors_and_wrong_formats_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2), "b": torch.ones(2)}, tmp_path / "x.safetensors")
    assert "plain" in refused(tmp_path / "x.safetensors", "the tensors a, b").allowed
    refused(made.sparsify(tmp_path / "s").path, "in the format saelens", name="saelens")
    (tmp_path / "y.safetensors").write_bytes(b"no")
    refused(tmp_path / "y.safetensors", "readable file of safetensors")


def test_paths_are_checked(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path, tmp_path / "a.txt"):
        (tmp_path / "a.txt").touch()
        with pytest.raises(RelianceError):
            files_of(path)
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).touch()
    with pytest.raises(RelianceError, match=r"a\.pt, b\.pt"):
        files_of(tmp_path)
    assert files_of(tmp_path / "a.pt") == [tmp_path / "a.pt"]


class Evil:
    """What a pickle may do to whoever unpickles it."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> object:
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("form", ["torch", "gz"])
def test_pickles_are_not_run(form: str, tmp_path: Path) -> None:
    import gzip
    import pickle

    mark = tmp_path / "was_here"
    content = {"state_dict": made.draw(), "cfg": Evil(str(mark))}
    path = tmp_path / ("sae.pt" if form == "torch" else "sae.pkl.gz")
    if form == "torch":
        torch.save(content, path)
    else:
        with gzip.open(path, "wb") as stream:
            pickle.dump(content, stream)
    sae, _ = imported(path, name="saelens", k=K)
    assert sae.m == M
    assert not mark.exists()
    path.write_bytes(b"\x80\x04\x95garbage")
    refused(path, "nothing in it is run")


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "sae.pt", "w") as archive:
        archive.writestr("sae/constants.pkl", b"")
    refused(tmp_path / "sae.pt", "TorchScript")


def test_a_latent_without_a_direction_never_fires(tmp_path: Path) -> None:
    theirs = made.saelens(tmp_path / "sae", "standard")
    tensors = load_file(theirs.path / "sae_weights.safetensors")
    tensors["W_dec"][3], tensors["b_enc"][3] = 0, 9
    save_file(tensors, theirs.path / "sae_weights.safetensors")
    codes, _ = dense(imported(theirs.path)[0], vectors())
    assert not codes[:, 3].any() and codes.any()


def overcomplete_of(folder: Path, kind: str) -> Path:
    folder.mkdir()
    made.overcomplete(folder / "sae.pt")
    (folder / "config.json").write_text(f'{{"class": "{kind}", "top_k": {K}}}')
    return folder


def test_classes_of_overcomplete_that_choose_otherwise_are_refused(tmp_path: Path) -> None:
    for kind in ("MpSAE", "OMPSAE", "QSAE"):
        refused(overcomplete_of(tmp_path / kind, kind), f"class is {kind}")
    refused(overcomplete_of(tmp_path / "jump", "JumpSAE"), "without its thresholds")
    assert imported(overcomplete_of(tmp_path / "top", "RATopKSAE"))[0].activation == "topk"
    sae, _ = imported(overcomplete_of(tmp_path / "relu", "SAE"))
    assert sae.activation == "jumprelu" and sae.threshold is not None and not sae.threshold.any()


def test_thresholds_that_are_missing_and_factors_are_refused(tmp_path: Path) -> None:
    refused(change(made.saelens(tmp_path / "j", "standard").path, architecture="jumprelu"), "without a thr")
    tensors = load_file(made.plain(tmp_path / "p.safetensors").path)
    save_file(tensors, tmp_path / "p.safetensors", metadata={"activation": "jumprelu"})
    refused(tmp_path / "p.safetensors", "without threshold")
    path = made.saelens(tmp_path / "s", "gated").path
    tensors = load_file(path / "sae_weights.safetensors")
    for factor, fine in ((1.0, True), (1.5, False)):
        scaled = {**tensors, "scaling_factor": torch.full((M,), factor)}
        save_file(scaled, path / "sae_weights.safetensors")
        assert imported(path) if fine else refused(path, "scaling_factor")
    refused(change(made.sparsify(tmp_path / "signed").path, signed=True), "it is signed")


def test_openai_activations_and_the_k_below_them(tmp_path: Path) -> None:
    path = made.openai(tmp_path / "sae.pt").path
    state = torch.load(path)
    torch.save({**state, "activation_state_dict": {"k": K, "postact_fn": "ReLU"}}, path)
    assert imported(path)[0].k == K
    torch.save({**state, "activation_state_dict": {"k": K, "postact_fn": "Identity"}}, path)
    refused(path, "applies Identity")
    torch.save({**state, "activation": "Identity"}, path)
    refused(path, "activation is Identity")


def test_prisma_normalises_unless_it_says_otherwise(tmp_path: Path) -> None:
    theirs = made.prisma(tmp_path / "n_images_1.pt", form="json")
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"normalize_activations": "layer_norm", ', ""))
    assert "normalize" not in config.read_text()
    _, xhat = dense(imported(theirs.path)[0], vectors())
    torch.testing.assert_close(xhat, theirs.reconstruct(vectors()), rtol=1e-4, atol=1e-4)


def test_two_values_of_k_are_refused(tmp_path: Path) -> None:
    path = made.plain(tmp_path / "sae.safetensors").path
    assert imported(path, k=K)[0].k == K
    refused(path, f"k: {K + 1} beside import, k = {K} in the file", k=K + 1)
