"""Pairs of classes that no prompt tells apart."""

import os
from pathlib import Path

import numpy as np
import pytest

from reliance.encoders.twins import Twins, tell_twins, twins

REAL = os.environ.get("RELIANCE_REAL")


def unit(n, p=16, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, p))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_equal_and_nearly_equal_vectors_and_equal_prompts():
    vectors = unit(6)
    vectors[4] = 3 * vectors[1]
    vectors[5] = vectors[2] + 0.001 * vectors[0]
    prompts = [["a"], ["crane", "a crane"], ["b"], ["x"], ["y"], ["x"]]
    found = twins(np.arange(10, 16), vectors, prompts)
    assert [pair[:2] for pair in found] == [(11, 14), (12, 15), (13, 15)]
    assert [pair.same_prompts for pair in found] == [False, False, True]
    assert found[0].cosine == pytest.approx(1) and 0.9995 < found[1].cosine < 1


def test_nothing_is_found_where_all_differ_and_blocks_change_nothing(monkeypatch):
    from reliance.encoders import twins as module

    vectors = unit(50, 4)
    vectors[40] = vectors[3]
    whole = twins(np.arange(50), vectors)
    assert [pair[:2] for pair in whole] == [(3, 40)]
    monkeypatch.setattr(module, "_ROWS", 7)
    assert twins(np.arange(50), vectors) == whole
    assert twins(np.arange(3), np.eye(3)) == []


def test_both_are_named(caplog):
    said = tell_twins(
        [Twins(134, 517, 1.0, True), Twins(836, 837, 0.99987, False)], {134: "crane", 517: "crane"}, "short"
    )
    assert "crane (class 134) and crane (class 517) have the same prompt: they cannot both win" in caplog.text
    assert len(said) == 2 and "cosine 0.9999" in said[1]
    assert "cosine 0.9999" in caplog.text and all(record.told for record in caplog.records)


@pytest.mark.skipif(not REAL, reason="RELIANCE_REAL names no folder with real files")
def test_a_real_text_classifier_has_two_pairs():
    vectors = np.load(Path(str(REAL), "vit_b32_datacomp_xl_imagenet_text.npy")).T
    assert sorted(pair[:2] for pair in twins(np.arange(1000), vectors)) == [(657, 744), (836, 837)]
