"""Time and memory of the second-order lens against the form that makes every effect as a vector.

    python benchmarks/lens.py
    python benchmarks/lens.py --only words --texts 30000

A vision transformer of ViT-B/32's size with random weights. Compared, per image and for one block: a plain
forward pass; ours (the pass recorded, coefficients made, scaled and rounded as they are stored); and effects
as vectors [tokens, neurons, width] carried through every later head, written from its formulas (one head of
one block is timed and multiplied, so that it ends). Memory is the most that each makes beside the weights, as
counted from the shapes of its largest arrays. Then words: matching pursuit of random directions over as many
random texts; and maps.
"""

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import torch

from clock import machine  # finds src too
from reliance.base.artifacts import Stamp
from reliance.encoders.model import Clip, Weights, build_random
from reliance.lens.effects import coefficients, wanted
from reliance.lens.maps import prompt_maps
from reliance.lens.maps import wanted as wanted_of_maps
from reliance.lens.paths import neuron_paths, writes
from reliance.lens.record import Recording, recording
from reliance.lens.words import dictionary, pursue

SIZES = {
    "b32": {"image_size": 224, "patch_size": 32, "width": 768, "layers": 12, "head_width": 64},
    "small": {"image_size": 64, "patch_size": 16, "width": 128, "layers": 4, "head_width": 32},
}


def made(size: str) -> Clip:
    vision = SIZES[size]
    text = {"context_length": 8, "vocab_size": 50, "width": 64, "heads": 1, "layers": 1}
    config = {"embed_dim": 512, "vision_cfg": vision, "text_cfg": text}
    model = build_random(config, 0).float().eval().requires_grad_(False)
    side = vision["image_size"]
    preprocess = {"size": side, "mean": [0.5] * 3, "std": [0.27] * 3}
    record = Weights("b", "encoder", size, config, preprocess, False, True, 0, "", "")
    return Clip(model, torch.device("cpu"), record, Stamp("weights", 1, "i", {}, {}))


def best(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def as_vectors(clip: Clip, found: Recording, block: int, route: int, head: int) -> torch.Tensor:
    """Effects [n, N, p] of all neurons through one head, every neuron's vector at every token by itself."""
    later = clip.model.visual.transformer.resblocks[route]
    own, d = found.blocks[route], later.attn.embed_dim
    width = d // later.attn.num_heads
    rows = slice(head * width, (head + 1) * width)
    u = found.neurons[block][..., None] * writes(clip, block)  # [n, T, N, d]
    u = (u - u.mean(-1, keepdim=True)) / own.sd[:, :, None, None] * later.ln_1.weight
    v = u @ later.attn.in_proj_weight[2 * d :][rows].T
    mixed = torch.einsum("nt,ntmw->nmw", own.pattern[:, head, 0], v)
    out = mixed @ later.attn.out_proj.weight[:, rows].T
    visual = clip.model.visual
    out = (out - out.mean(-1, keepdim=True)) / found.sd[:, None, None] * visual.ln_post.weight
    return out @ visual.proj / found.z.norm(dim=1)[:, None, None]


def effects(options: argparse.Namespace) -> None:
    clip = made(options.size)
    blocks = clip.model.visual.transformer.resblocks
    block = len(blocks) - 3
    side = SIZES[options.size]["image_size"]
    pixels = torch.randint(0, 256, (options.images, 3, side, side), dtype=torch.uint8)
    images = (pixels.float() / 255 - 0.5) / 0.27
    with torch.inference_mode(), recording(clip, wanted(clip, block)) as recorder:
        found = recorder.run(pixels)

        def ours() -> None:
            c = coefficients(recorder.run(pixels), block)
            (c / c.abs().amax((1, 2), keepdim=True)).half().numpy()

        recorded = best(ours, options.rounds) / options.images
    with torch.inference_mode():
        plain = best(lambda: clip.model.encode_image(images), options.rounds) / options.images
        one = found._replace(
            neurons={block: found.neurons[block][:1]}, sd=found.sd[:1], z=found.z[:1],
            blocks={
                place: a._replace(pattern=a.pattern[:1], sd=a.sd[:1]) for place, a in found.blocks.items()
            },
        )  # fmt: skip
        c = coefficients(found, block)
        _, neurons, k = c.shape
        whole = k * best(lambda: as_vectors(clip, one, block, block + 1, 0), max(1, options.rounds - 1))
        u = neuron_paths(clip, block)
        difference = as_vectors(clip, one, block, block + 1, 1)[0] - c[0, :, 1, None] * u[:, 1]
    tokens, d = found.neurons[block].shape[1], blocks[0].attn.embed_dim
    vectors, own = 4 * tokens * neurons * d, 4 * (tokens * neurons + neurons * k)
    at = f"block {block} of {len(blocks)}, {neurons} neurons, {k} later heads, {tokens} tokens"
    print(f"{options.size}: {at}")
    print(f"the same to {float(difference.abs().max()):.1e} of {float(u.norm(dim=2).max()):.1e}")
    print(f"per image: plain pass {1e3 * plain:.1f} ms, ours {1e3 * recorded:.1f} ms")
    print(f"ours in plain passes: {recorded / plain:.2f}")
    print(
        f"as vectors: {whole:.1f} s beside the pass, {(whole + plain) / recorded:.0f} x ours with its pass,"
    )
    print(f"  {whole / max(1e-9, recorded - plain):.0f} x ours without it")
    print(f"temporaries: {vectors / 1e6:.0f} MB as vectors, {own / 1e6:.2f} MB ours, {vectors / own:.0f} x")
    print(f"stored: {4 * neurons * u.shape[2] / 1e3:.0f} kB of vectors, {2 * neurons * k / 1e3:.0f} kB ours")


def words(options: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(options.directions, 512)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    atoms = dictionary(rng.normal(size=(options.texts, 512)).astype(np.float32))
    began = time.perf_counter()
    pursue(directions, atoms, options.m)
    seconds = time.perf_counter() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"words: {options.directions} directions, {options.texts} texts, m = {options.m}: {seconds:.0f} s")
    print(f"at most {most:.1f} GB in the whole process")


def maps(options: argparse.Namespace) -> None:
    clip = made(options.size)
    side = SIZES[options.size]["image_size"]
    pixels = torch.randint(0, 256, (options.images, 3, side, side), dtype=torch.uint8)
    text = torch.nn.functional.normalize(torch.randn(10, 512), dim=1)
    images = (pixels.float() / 255 - 0.5) / 0.27
    with torch.inference_mode(), recording(clip, wanted_of_maps(clip)) as recorder:
        drawn = best(lambda: prompt_maps(clip, recorder.run(pixels), text), options.rounds)
    with torch.inference_mode():
        plain = best(lambda: clip.model.encode_image(images), options.rounds)
    print(f"maps of 10 prompts: {drawn / plain:.2f} passes per image")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="b32")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directions", type=int, default=3072)
    parser.add_argument("--texts", type=int, default=30000)
    parser.add_argument("--m", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("effects", "words", "maps"))
    options = parser.parse_args()
    options.device = "cpu"
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(machine(options))
    for name, run in (("effects", effects), ("words", words), ("maps", maps)):
        if options.only in (None, name):
            run(options)
    print(f"after: {machine(options)}")


if __name__ == "__main__":
    main()
