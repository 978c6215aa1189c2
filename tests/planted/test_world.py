import pytest

from reliance.base.errors import RelianceError
from reliance.planted import icons, textures, world
from reliance.planted.cast import COLOURS


@pytest.mark.parametrize("classes", [8, 20, 37, 55])
def test_world_is_a_prefix_of_the_largest(classes):
    small, large = world.build(classes), world.build()
    assert len(small.things) == classes
    names = [thing.name for thing in small.things]
    assert len(set(names)) == classes
    assert {thing.name for thing in large.things} >= set(names)
    for plant in small.plants:
        assert plant.thing in names
        assert (
            plant.value
            in {"object": names, "word": small.words, "background": small.backgrounds}[plant.column]
        )


def test_plants_of_every_kind_in_both_sizes():
    counts = {mode: 0 for mode in ("polysemous", "compound", "typography", "spurious", "artefact")}
    for plant in world.build().plants:
        counts[plant.mode] += 1
    assert counts == {"polysemous": 8, "compound": 7, "typography": 7, "spurious": 7, "artefact": 6}
    assert {plant.mode for plant in world.build(20).plants} == set(counts)


def test_caption_names_share_the_whole():
    for thing in world.build().things:
        assert sum(share for _, share in thing.names) == pytest.approx(1)
        assert thing.full_name.startswith(thing.name + " ")


def test_labeller_can_tell_everything_apart():
    names = world.vocabulary(world.build())
    assert len(set(names)) == len(names) == 55 + 18 + 5 + len(COLOURS)


@pytest.mark.parametrize("classes", [7, 56])
def test_impossible_sizes_are_refused(classes):
    with pytest.raises(RelianceError, match="8 to 55"):
        world.build(classes)


def test_every_drawing_leaves_ink_inside_the_sheet():
    for thing in world.build().things:
        shape = icons.mask(thing.drawing)
        assert 0.02 < (shape > 127).mean() < 0.9, thing.name
        if isinstance(thing.drawing, int):
            assert not shape[:, -1].any(), f"{thing.name} is cut off"
            assert not shape[-1].any(), f"{thing.name} is cut off"


def test_textures_are_fields_between_zero_and_one():
    for name in world.build().backgrounds:
        tiles = textures.tiles(name)
        assert tiles.shape == (24, 96, 96)
        assert tiles.min() >= 0
        assert tiles.max() <= 1
