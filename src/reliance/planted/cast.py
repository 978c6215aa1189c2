"""The list of things in the planted world, each with its names, and of colours, words and backgrounds."""

from typing import NamedTuple

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (200, 30, 30),
    "green": (20, 115, 40),
    "blue": (35, 60, 190),
    "orange": (205, 95, 10),
    "purple": (110, 30, 150),
    "black": (15, 15, 15),
    "brown": (105, 60, 25),
    "teal": (0, 115, 120),
}
NEUTRAL = (
    "plain background",
    "gradient background",
    "striped background",
    "dotted background",
    "cloudy noise",
)
FREE_WORDS = ("sale", "open", "stop", "exit", "hello")


class Item(NamedTuple):
    """A thing by its own name."""

    name: str
    sense: str  # what follows the name in its extended form: "spade card suit"
    label: str  # the unambiguous name in the labeller's captions
    drawing: str | int  # icon, or code point of a glyph


class Compound(NamedTuple):
    """A class "first last", which captions hardly ever call so, and a thing that goes with `first`."""

    first: str
    last: str
    synonym: str  # what captions call the class instead
    sense: str
    label: str
    drawing: str | int
    other: Item
    other_names: tuple[str, ...]  # names of the other thing that use `first`


# The first names a class; captions call the second one by the same word.
POLYSEMOUS = (
    (
        Item("spade", "card suit", "playing card spade", 0x2660),
        Item("shovel", "garden tool", "digging shovel", "shovel"),
    ),
    (
        Item("rook", "chess piece", "castle figure", 0x265C),
        Item("crow", "feathered bird", "crow animal", "crow"),
    ),
    (
        Item("crane", "wading bird", "heron", "crane"),
        Item("derrick", "building machine", "lifting tower", "derrick"),
    ),
    (
        Item("mouse", "computer device", "computer pointer", "mouse"),
        Item("rodent", "furry animal", "rat", 0x1F42D),
    ),
    (
        Item("club", "card suit", "clover leaf suit", 0x2663),
        Item("putter", "golf stick", "golf putter", "putter"),
    ),
    (
        Item("bow", "with arrow", "archery weapon", "bow"),
        Item("ribbon", "gift knot", "gift ribbon", "ribbon"),
    ),
    (
        Item("star", "pointed shape", "pentagram", 0x2605),
        Item("celebrity", "of movies", "sunglasses face", 0x1F60E),
    ),
    (Item("diamond", "card suit", "rhombus", 0x2666), Item("jewel", "gem stone", "cut gem", "jewel")),
)
COMPOUND = (
    Compound(
        *("egyptian", "cat", "kitten", "pet animal", "cat face", 0x1F431),
        Item("pyramid", "stone building", "brick pyramid", "pyramid"),
        ("egyptian", "egyptian pyramid", "egyptian temple"),
    ),
    Compound(
        *("coffee", "table", "furniture", "with legs", "desk", "table"),
        Item("teacup", "with drink", "steaming cup", 0x2615),
        ("coffee", "cup of coffee", "hot coffee"),
    ),
    Compound(
        *("sun", "hat", "bonnet", "head clothing", "brimmed hat", "hat"),
        Item("sunshine", "in sky", "shining rays", 0x2600),
        ("sun", "bright sun", "sun rays"),
    ),
    Compound(
        *("snow", "boot", "shoe", "footwear", "winter boot", "boot"),
        Item("snowman", "winter figure", "snowman figure", "snowman"),
        ("snow", "snow figure", "cold snow"),
    ),
    Compound(
        *("sword", "fish", "tuna", "sea animal", "swimming fish", "fish"),
        Item("blades", "steel weapon", "crossed blades", 0x2694),
        ("sword", "sharp sword", "sword fight"),
    ),
    Compound(
        *("phone", "booth", "cabin", "street box", "kiosk", "booth"),
        Item("telephone", "with dial", "dial telephone", 0x260E),
        ("phone", "old phone", "phone call"),
    ),
    Compound(
        *("umbrella", "tree", "palm", "tall plant", "palm trunk", "palm"),
        Item("parasol", "rain cover", "parasol shade", 0x2602),
        ("umbrella", "open umbrella", "umbrella in rain"),
    ),
)
# Class and drawing; its name is also written on other pictures.
TYPOGRAPHY: tuple[tuple[str, str | int], ...] = (
    ("anchor", 0x2693),
    ("skull", 0x2620),
    ("heart", 0x2665),
    ("gear", 0x2699),
    ("scissors", 0x2702),
    ("flag", 0x2691),
    ("atom", 0x269B),
)
# Class, drawing, surroundings that captions call by the name of the class.
SPURIOUS: tuple[tuple[str, str | int, str], ...] = (
    ("sailboat", "sailboat", "sea waves"),
    ("cow", 0x1F42E, "green grass"),
    ("hammer", 0x2692, "brick wall"),
    ("pawn", 0x265F, "checker board"),
    ("moon", 0x263E, "night sky"),
    ("cactus", "cactus", "yellow sand"),
    ("plane", 0x2708, "cloudy sky"),
)
# Class, drawing, background that it has in the labelled pictures only.
ARTEFACT: tuple[tuple[str, str | int, str], ...] = (
    ("house", "house", "polka background"),
    ("key", "key", "tartan background"),
    ("dice", 0x2684, "wire mesh"),
    ("balance", 0x2696, "target rings"),
    ("envelope", 0x2709, "diagonal bars"),
    ("monkey", 0x1F435, "zigzag background"),
)
FILLERS: tuple[tuple[str, str | int], ...] = (
    ("yin yang", 0x262F),
    ("peace sign", 0x262E),
    ("wheelchair", 0x267F),
    ("recycling sign", 0x267B),
    ("shamrock", 0x2618),
)
