"""Made-up SAEs in the files of every format, each with its format's own formula: what it says xhat is."""

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

D, M, K = 12, 40, 5


class Made(NamedTuple):
    """Where the files are, and what their format makes of x [n, d]."""

    path: Path
    reconstruct: Callable[[Tensor], Tensor]
    codes: Callable[[Tensor], Tensor]  # what each latent adds to x has this length [n, m]
    k: int | None = None  # where the file does not say it


def draw(seed: int = 0, unit: bool = True) -> dict[str, Tensor]:
    """Weights in the names that most formats share: W_enc [d, m], W_dec [m, d]."""
    g = torch.Generator().manual_seed(seed)
    w_dec = torch.randn(M, D, generator=g)
    w_dec = torch.nn.functional.normalize(w_dec, dim=1)
    if not unit:
        w_dec = w_dec * (0.5 + torch.rand(M, 1, generator=g))
    return {
        "W_enc": (w_dec + 0.2 * torch.randn(M, D, generator=g)).T.contiguous(),
        "b_enc": 0.2 * torch.randn(M, generator=g),
        "W_dec": w_dec,
        "b_dec": torch.randn(D, generator=g),
    }


def vectors(seed: int = 1) -> Tensor:
    return 2 * torch.randn(32, D, generator=torch.Generator().manual_seed(seed)) + 0.5


def kept(pre: Tensor, k: int, relu: bool = True) -> Tensor:
    found = pre.topk(k, dim=1)
    dense = torch.zeros_like(pre).scatter(1, found.indices, found.values)
    return dense.relu() if relu else dense


def layer_norm(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, std) as SAELens and Prisma have it."""
    mean = x.mean(1, keepdim=True)
    std = (x - mean).std(1, keepdim=True)
    return (x - mean) / (std + 1e-5), mean, std


def _folder(path: Path, name: str, tensors: dict[str, Tensor], config: dict[str, Any] | None) -> Path:
    path.mkdir(parents=True)
    save_file({n: t.contiguous() for n, t in tensors.items()}, path / name)
    if config is not None:
        (path / "cfg.json").write_text(json.dumps(config))
    return path


def saelens(path: Path, architecture: str, norm: str = "none", **config: Any) -> Made:
    t = draw(unit=architecture == "topk" and not config.get("rescale_acts_by_decoder_norm"))
    apply_b_dec = config.get("apply_b_dec_to_input", True)
    lengths = t["W_dec"].norm(dim=1)
    g = torch.Generator().manual_seed(5)
    if architecture == "jumprelu":
        t["threshold"] = 0.5 + torch.rand(M, generator=g)
    if architecture == "gated":
        t |= {name: 0.3 * torch.randn(M, generator=g) for name in ("b_gate", "r_mag", "b_mag")}
        del t["b_enc"]

    def acts(x: Tensor) -> Tensor:
        y = x - t["b_dec"] * apply_b_dec
        if architecture == "gated":
            on = (y @ t["W_enc"] + t["b_gate"]) > 0
            return on * (y @ (t["W_enc"] * t["r_mag"].exp()) + t["b_mag"]).relu()
        pre = y @ t["W_enc"] + t["b_enc"]
        if architecture == "topk":
            scale = lengths if config.get("rescale_acts_by_decoder_norm") else torch.ones(M)
            return kept(pre * scale, K) / scale
        return pre.relu() * (pre > t["threshold"]) if architecture == "jumprelu" else pre.relu()

    def normed(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if norm == "layer_norm":
            return layer_norm(x)
        if norm == "constant_norm_rescale":
            scale = x.norm(dim=1, keepdim=True) / D**0.5
            return x / scale, torch.zeros(()), scale
        return x, torch.zeros(()), torch.ones(())

    def reconstruct(x: Tensor) -> Tensor:
        y, shift, scale = normed(x)
        return (acts(y) @ t["W_dec"] + t["b_dec"]) * scale + shift

    def codes(x: Tensor) -> Tensor:
        y, _, scale = normed(x)
        return acts(y) * lengths * scale

    says = {
        "architecture": architecture,
        "d_in": D,
        "d_sae": M,
        "normalize_activations": norm,
        "metadata": {"sae_lens_version": "6.5", "model_name": "open-clip:ViT-B-32", "hook_name": "x"},
        **({"k": K} if architecture == "topk" else {}),
        **config,
    }
    return Made(_folder(path, "sae_weights.safetensors", t, says), reconstruct, codes)


def paper(path: Path, newer: bool = False) -> Made:
    t = draw(unit=False)
    rows = t["W_enc"].T.contiguous()
    g = rows.norm(dim=1, keepdim=True) * 1.7
    columns = t["W_dec"].T.contiguous()
    names = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    gain, direction = names if newer else ("weight_g", "weight_v")
    state = {
        "encoder.0.bias": t["b_enc"],
        f"encoder.0.{gain}": g,
        f"encoder.0.{direction}": rows,
        f"decoder.{gain}": torch.ones(1, M),
        f"decoder.{direction}": columns,
        "encoder.0.weight": torch.zeros(M, D),  # stale
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 3, "global_step": 7, "state_dict": state, "hyper_parameters": {}}, path)
    w_enc = g * rows / rows.norm(dim=1, keepdim=True)
    w_dec = columns / columns.norm(dim=0, keepdim=True)

    def codes(x: Tensor) -> Tensor:
        return kept(x @ w_enc.T + t["b_enc"], K, relu=False)

    return Made(path, lambda x: codes(x) @ w_dec.T, codes, K)


class RunnerConfig:
    """Stands for a class that whoever reads the file does not have."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def prisma(path: Path, activation: str = "relu", norm: str = "layer_norm", form: str = "pickle") -> Made:
    t = draw(unit=activation == "topk")
    config = {
        "architecture": "standard",
        "activation_fn_str": activation,
        "activation_fn_kwargs": {"k": K} if activation == "topk" else {},
        "normalize_activations": norm,
        "hook_point_layer": 11,
        "layer_subtype": "hook_resid_post",
        "model_name": "open-clip:laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K",
        "cls_token_only": True,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "pickle":
        torch.save({"cfg": RunnerConfig(**config), "state_dict": t}, path)
    elif form == "gz":
        with gzip.open(path, "wb") as stream:
            pickle.dump({"cfg": RunnerConfig(**config), "state_dict": t}, stream)
    else:
        torch.save({"state_dict": t}, path)
        path.with_name("config.json").write_text(json.dumps(config))

    def acts(y: Tensor) -> Tensor:
        pre = (y - t["b_dec"]) @ t["W_enc"] + t["b_enc"]
        return kept(pre, K) if activation == "topk" else pre.relu()

    def reconstruct(x: Tensor) -> Tensor:
        if norm == "none":
            return acts(x) @ t["W_dec"] + t["b_dec"]
        y, mean, std = layer_norm(x)
        return (acts(y) @ t["W_dec"] + t["b_dec"]) * std + mean

    def codes(x: Tensor) -> Tensor:
        y, scale = (x, torch.ones(())) if norm == "none" else layer_norm(x)[::2]
        return acts(y) * t["W_dec"].norm(dim=1) * scale

    return Made(path, reconstruct, codes)


def overcomplete(path: Path, kind: str = "topk", norm: bool = False) -> Made:
    t = draw(unit=False)
    w_enc = t["W_enc"].T.contiguous()
    rows = (
        torch.nn.functional.normalize(t["W_dec"], dim=1) * 1.01
    )  # as the last step of an optimiser leaves it
    multiplier, g = torch.tensor(0.4), torch.Generator().manual_seed(3)
    state = {
        "encoder.final_block.0.weight": w_enc,
        "encoder.final_block.0.bias": t["b_enc"],
        "dictionary._weights": rows,
        "dictionary.multiplier": multiplier,
    }
    mean, variance, gain, shift = (torch.rand(M, generator=g) + 0.5 for _ in range(4))
    if norm:
        state |= {
            "encoder.final_block.1.running_mean": mean,
            "encoder.final_block.1.running_var": variance,
            "encoder.final_block.1.weight": gain,
            "encoder.final_block.1.bias": shift,
            "encoder.final_block.1.num_batches_tracked": torch.tensor(9),
        }
    thresholds = torch.randn(M, generator=g) * 0.1 - 0.5
    if kind == "jump":
        state["thresholds"] = thresholds
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)

    def acts(x: Tensor) -> Tensor:
        pre = x @ w_enc.T + t["b_enc"]
        if norm:
            pre = (pre - mean) / (variance + 1e-5).sqrt() * gain + shift
        codes = pre.relu()
        return codes * (codes >= thresholds.exp()) if kind == "jump" else kept(codes, K)

    dictionary = torch.nn.functional.normalize(rows, dim=1) * multiplier.exp()
    return Made(
        path,
        lambda x: acts(x) @ dictionary,
        lambda x: acts(x) * multiplier.exp(),
        None if kind == "jump" else K,
    )


def sparsify(path: Path) -> Made:
    t = draw()
    state = {
        "encoder.weight": t["W_enc"].T.contiguous(),
        "encoder.bias": t["b_enc"],
        "W_dec": t["W_dec"],
        "b_dec": t["b_dec"],
    }
    config = {"activation": "topk", "k": K, "num_latents": M, "d_in": D, "skip_connection": False}

    def codes(x: Tensor) -> Tensor:
        return kept(((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu(), K)

    where = _folder(path, "sae.safetensors", state, config)
    return Made(where, lambda x: codes(x) @ t["W_dec"] + t["b_dec"], codes)


def openai(path: Path, kind: str = "TopK") -> Made:
    t = draw()
    state: dict[str, Any] = {
        "pre_bias": t["b_dec"],
        "encoder.weight": t["W_enc"].T.contiguous(),
        "latent_bias": t["b_enc"],
        "decoder.weight": t["W_dec"].T.contiguous(),
        "activation": kind,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)

    def acts(y: Tensor) -> Tensor:
        pre = (y - t["b_dec"]) @ t["W_enc"] + t["b_enc"]
        return kept(pre, K) if kind == "TopK" else pre.relu()

    def reconstruct(x: Tensor) -> Tensor:
        if kind != "TopK":
            return acts(x) @ t["W_dec"] + t["b_dec"]
        mean = x.mean(1, keepdim=True)
        std = (x - mean).std(1, keepdim=True)
        y = (x - mean) / (std + 1e-5)
        return (acts(y) @ t["W_dec"] + t["b_dec"]) * std + mean

    def codes(x: Tensor) -> Tensor:
        if kind != "TopK":
            return acts(x)
        y, _, std = layer_norm(x)
        return acts(y) * std

    return Made(path, reconstruct, codes, K if kind == "TopK" else None)


def plain(path: Path, kind: str = "topk") -> Made:
    t = draw()
    state = {
        "encoder_weight": t["W_enc"].T.contiguous(),
        "encoder_bias": t["b_enc"],
        "decoder_weight": t["W_dec"],
        "bias": t["b_dec"],
    }
    if kind == "jumprelu":
        state["threshold"] = torch.full((M,), 0.7)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, metadata={"k": str(K)} if kind == "topk" else {})

    def codes(x: Tensor) -> Tensor:
        pre = (x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]
        return kept(pre, K) if kind == "topk" else pre.relu() * (pre > 0.7)

    return Made(path, lambda x: codes(x) @ t["W_dec"] + t["b_dec"], codes)


FORMATS: dict[str, tuple[str, Callable[[Path], Made]]] = {
    "saelens standard": ("saelens", lambda p: saelens(p / "sae", "standard")),
    "saelens topk": ("saelens", lambda p: saelens(p / "sae", "topk")),
    "saelens topk by length": (
        "saelens",
        lambda p: saelens(p / "sae", "topk", rescale_acts_by_decoder_norm=True),
    ),
    "saelens without b_dec before": (
        "saelens",
        lambda p: saelens(p / "sae", "topk", apply_b_dec_to_input=False),
    ),
    "saelens jumprelu": ("saelens", lambda p: saelens(p / "sae", "jumprelu")),
    "saelens gated": ("saelens", lambda p: saelens(p / "sae", "gated")),
    "saelens layer norm": ("saelens", lambda p: saelens(p / "sae", "jumprelu", "layer_norm")),
    "saelens constant norm": ("saelens", lambda p: saelens(p / "sae", "standard", "constant_norm_rescale")),
    "paper": ("paper", lambda p: paper(p / "sae.ckpt")),
    "paper, newer names": ("paper", lambda p: paper(p / "sae.ckpt", newer=True)),
    "prisma": ("prisma", lambda p: prisma(p / "weights.pt")),
    "prisma topk": ("prisma", lambda p: prisma(p / "weights.pt", "topk", "none")),
    "prisma compressed": ("prisma", lambda p: prisma(p / "weights.pkl.gz", form="gz")),
    "prisma with config.json": (
        "prisma",
        lambda p: prisma(p / "n_images_1.pt", "topk", "layer_norm", form="json"),
    ),
    "overcomplete topk": ("overcomplete", lambda p: overcomplete(p / "sae.pt")),
    "overcomplete batch norm": ("overcomplete", lambda p: overcomplete(p / "sae.pt", norm=True)),
    "overcomplete jump": ("overcomplete", lambda p: overcomplete(p / "sae.pt", "jump")),
    "sparsify": ("sparsify", lambda p: sparsify(p / "sae")),
    "openai topk": ("openai", lambda p: openai(p / "sae.pt")),
    "openai relu": ("openai", lambda p: openai(p / "sae.pt", "ReLU")),
    "plain topk": ("plain", lambda p: plain(p / "sae.safetensors")),
    "plain jumprelu": ("plain", lambda p: plain(p / "sae.safetensors", "jumprelu")),
}
