"""A user's paths: `~` is a home wherever a path is taken."""

import pytest

from reliance.config.models import Dataset, Encoder, ExternalList


@pytest.mark.parametrize(
    ("model", "entry", "key"),
    [
        (Dataset, {"layout": "folder"}, "root"),
        (Dataset, {"layout": "folder", "root": "/x"}, "names"),
        (Dataset, {"layout": "folder", "root": "/x"}, "groups"),
        (ExternalList, {"dataset": "mine", "source": "user"}, "root"),
        (ExternalList, {"dataset": "mine", "source": "user", "samples": "s"}, "failures"),
        (ExternalList, {"dataset": "mine", "source": "user", "failures": "f"}, "samples"),
        (Encoder, {"architecture": "ViT-B-32"}, "file"),
        (Encoder, {"architecture": "ViT-B-32", "pretrained": "t"}, "embeddings_from"),
    ],
)
def test_a_tilde_is_the_home(monkeypatch, model, entry, key):
    monkeypatch.setenv("HOME", "/home/me")
    assert getattr(model(**entry, **{key: "~/a b"}), key) == "/home/me/a b"
    assert getattr(model(**entry, **{key: "/a/~b"}), key) == "/a/~b"
