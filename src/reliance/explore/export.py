"""What a variant knows of its SAE, in the files of other tools.

    saelens | overcomplete | plain     the SAE itself (`units.sae.formats.write`)
    neuronpedia                        a feature and an explanation per latent, as gzipped JSON lines
    semanticlens                       per latent its strongest images, and the labeller's embeddings of them

Neuronpedia's dumps have activations on tokens; there is no type for images, so that none are written.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from reliance.base.artifacts import read_json
from reliance.base.errors import RelianceError
from reliance.base.writing import atomic
from reliance.encoders.stored import Embeddings
from reliance.explore.study import Study, open_study
from reliance.tails.baselines import logit_lens
from reliance.tails.relevance import latent_tables, prompt_tables
from reliance.units.sae.files import load_sae
from reliance.units.sae.formats.write import Origin, export_sae

_BATCH = 1024  # features per file, as its importer reads them
_NEAREST = 10  # texts and latents listed per latent
_SHOWN = 20  # images per latent whose embeddings are written
_BLOCK = 1024  # latents compared at a time


def export_sae_of(folder: Path, form: str, to: Path) -> list[Path]:
    """Write the SAE of the variant in `folder` into `to`; the files. Raises RelianceError."""
    study = open_study(folder)
    sae, stamp = load_sae(study.path("sae"))
    return export_sae(sae, Origin(stamp, *_model(study)), form, to)


def export_units_of(folder: Path, form: str, to: Path) -> list[Path]:
    """Write what is known of the latents of the variant in `folder` into `to`; the files.

    Raises RelianceError.
    """
    writers: dict[str, Callable[[Study, Path], None]] = {
        "neuronpedia": _neuronpedia,
        "semanticlens": _semanticlens,
    }
    if form not in writers:
        raise RelianceError(
            f"--format {form}",
            "latents are exported in a format that is known",
            found=form,
            allowed=", ".join(writers),
            next_step="for the SAE itself: reliance export-sae",
        )
    study = open_study(folder)
    with atomic(to) as temporary:
        temporary.mkdir(parents=True)
        writers[form](study, temporary)
        names = sorted(path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file())
    return [to / name for name in names]


def _model(study: Study) -> tuple[str, int]:
    """(architecture of the encoder, or its name if it has none; its blocks, 0 if they are not known)."""
    record, _ = read_json(study.path("weights"), "weights", 1)
    layers = record["config"].get("vision_cfg", {}).get("layers", 0)
    name = record["encoder"] if record["architecture"] == "from-file" else record["architecture"]
    return str(name), layers if isinstance(layers, int) else 0


def _neuronpedia(study: Study, folder: Path) -> None:
    model, layers = _model(study)
    source = f"{max(layers - 1, 0)}-{study.variant}"
    about = {"modelId": model, "id": source, "setName": study.variant}
    _lines(folder / "source.jsonl", [about])
    _lines(folder / "model.jsonl", [{"id": model, "layers": layers}])
    batches: dict[str, list[dict[str, Any]]] = {"features": [], "explanations": []}
    number = 0
    for feature, explanation in _latents(study):
        batches["features"].append({"modelId": model, "layer": source, **feature})
        if explanation:
            batches["explanations"].append({"modelId": model, "layer": source, **explanation})
        if len(batches["features"]) == _BATCH:
            _batch(folder, number, batches)
            number += 1
    if batches["features"]:
        _batch(folder, number, batches)


def _batch(folder: Path, number: int, batches: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in batches.items():
        (folder / name).mkdir(exist_ok=True)
        _lines(folder / name / f"batch-{number}.jsonl.gz", rows)
        rows.clear()


def _latents(study: Study) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """(feature, explanation) of every latent; one that fires too rarely for a name has no explanation.

    pos_str and neg_str: classes whose prompts the head would send it towards, and away from (Eq. 3).
    """
    decoder = study.sae.decoder_weight
    prompts = study.prompts()
    names = study.class_names.set_index("class_id")["short_name"].loc[prompts.class_ids].to_numpy()
    components = study.components.to_dict("records")
    tables = latent_tables(decoder, study.head)
    lens = logit_lens(tables, prompt_tables(tables, prompts.vectors)).numpy()
    count = min(_NEAREST, len(names))
    for start in range(0, len(decoder), _BLOCK):
        cosines = decoder[start : start + _BLOCK] @ decoder.T
        for row, similar in enumerate(cosines):
            index = start + row
            order = np.argsort(-lens[:, index], kind="stable")
            nearest = np.argsort(-similar, kind="stable")[: _NEAREST + 1]
            found = components[index]
            feature = {
                "index": str(index),
                "maxActApprox": float(found["max"]),
                "frac_nonzero": float(found["firing_rate"]),
                "pos_str": names[order[:count]].tolist(),
                "pos_values": lens[order[:count], index].tolist(),
                "neg_str": names[order[::-1][:count]].tolist(),
                "neg_values": lens[order[::-1][:count], index].tolist(),
                "topkCosSimIndices": nearest.tolist(),
                "topkCosSimValues": similar[nearest].tolist(),
                "vector": decoder[index].tolist(),
                "hookName": f"{study.about.get('encoder', '')}",
            }
            label = str(found["label"])
            named = {"index": str(index), "description": label, "typeName": "reliance_label"}
            yield feature, named if label else None


def _semanticlens(study: Study, folder: Path) -> None:
    """Top images, and embeddings of the first of them.

    A place without an image is number -1, activation and embedding 0.
    """
    top, m = study.top_samples, len(study.sae.encoder_bias)
    count = int(top["rank"].max()) + 1 if len(top) else 0
    images = np.full((m, count), -1, np.int64)
    activations = np.zeros((m, count), np.float32)
    place = top["component"].to_numpy(), top["rank"].to_numpy()
    images[place], activations[place] = top["image_id"].to_numpy(), top["activation"].to_numpy()
    layer = str(study.about.get("site", "class_token"))
    about = {
        "n_collect": str(count),
        "n_latents": str(m),
        "aggregation_fn_name": "max",
        "layer_name": layer,
    }
    tensors = {
        "activations": torch.from_numpy(activations).bfloat16(),
        "sample_ids": torch.from_numpy(images),
    }
    save_file(tensors, folder / f"{layer}.safetensors", metadata=about)
    labels = Embeddings(study.path("labels", "train"))
    shown = np.unique(images[:, :_SHOWN][images[:, :_SHOWN] >= 0])
    z = np.zeros((len(shown) + 1, labels.width), np.float32)
    z[1:] = labels.z_of(shown)
    first = images[:, :_SHOWN]
    where = np.where(first >= 0, np.searchsorted(shown, first) + 1, 0)
    save_file({layer: torch.from_numpy(z[where])}, folder / "concepts.safetensors")


def _lines(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text, encoding="utf-8")
