"""Files from the hub, with a hub that is not there."""

import huggingface_hub as hub
import pytest

from reliance.encoders.fetch import FetchError, hub_file, weights_names


class Response:
    """What the hub's errors want to know about an answer."""

    def __init__(self):
        self.headers, self.request, self.status_code = {}, None, 404


@pytest.fixture
def fake(monkeypatch):
    """A hub with nothing cached; `fake.there` maps file name -> path or error; `fake.asked` is a record."""

    class Fake:
        def __init__(self):
            self.cached, self.there, self.asked = {}, {}, []

        def head(self, url, timeout):
            assert timeout <= 10
            name = url.rpartition("/")[2]
            self.asked.append(name)
            answer = self.there.get(name)
            if answer is None:
                raise hub.errors.RemoteEntryNotFoundError("404", response=Response())
            if isinstance(answer, Exception):
                raise answer

    found = Fake()
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repo, name: found.cached.get(name))
    monkeypatch.setattr(hub, "get_hf_file_metadata", found.head)
    monkeypatch.setattr(hub, "hf_hub_download", lambda repo, name, etag_timeout: found.there[name])
    return found


def test_weights_names():
    default = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    assert weights_names("laion/CLIP-ViT-B-32/") == ("laion/CLIP-ViT-B-32", default)
    assert weights_names("a/b/pytorch_model.bin") == (
        "a/b",
        ("pytorch_model.safetensors", "pytorch_model.bin"),
    )
    assert weights_names("a/b/m.safetensors") == ("a/b", ("m.safetensors",))


def test_a_cached_file_needs_no_network_even_if_it_is_the_second_choice(fake):
    fake.cached = {"b.bin": "/cache/b.bin"}
    assert str(hub_file("o/r", ("a.safetensors", "b.bin"))) == "/cache/b.bin"
    assert fake.asked == []


def test_the_first_name_that_exists_is_downloaded(fake):
    fake.there = {"b.bin": "/new/b.bin"}
    assert str(hub_file("o/r", ("a.safetensors", "b.bin"))) == "/new/b.bin"
    assert fake.asked == ["a.safetensors", "b.bin"]


def test_no_file_of_these_names(fake):
    with pytest.raises(FetchError, match=r"has none of a\.safetensors, b\.bin"):
        hub_file("o/r", ("a.safetensors", "b.bin"))


def test_no_network_is_not_tried_twice(fake):
    fake.there = {"a": ConnectionError("[Errno -2] Name or service\nnot known")}
    with pytest.raises(FetchError, match=r"ConnectionError.*Name or service not known"):
        hub_file("o/r", ("a", "b"))
    assert fake.asked == ["a"]


def test_a_gated_repository(fake):
    fake.there = {"a": hub.errors.GatedRepoError("Access to model o/r is restricted", response=Response())}
    with pytest.raises(FetchError, match="GatedRepoError: Access to model o/r is restricted"):
        hub_file("o/r", ("a",))
