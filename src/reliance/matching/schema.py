"""Tables of matches."""

from reliance.base.artifacts import TableSpec

MATCHES = TableSpec(
    "matches",
    1,
    (
        ("variant", "string"),
        ("component", "int32"),
        ("other", "string"),  # the variant that it is looked for in
        ("match", "int32"),  # one to one, -1: none
        ("correlation", "float32"),  # with it, 0 if there is none
        ("nearest", "int32"),  # most correlated, -1: none
        ("nearest_correlation", "float32"),
        ("mutual", "bool"),  # whether it is the nearest of its nearest
        ("cosine", "float32"),  # of the decoder's rows of the match; nan: none, or another encoder or site
        ("nearest_by_cosine", "int32"),  # -1: another encoder or site
        ("nearest_cosine", "float32"),
    ),
)
STABILITY = TableSpec(
    "stability",
    2,
    (
        ("variant", "string"),
        ("component", "int32"),
        ("others", "int32"),  # variants that it was looked for in
        (
            "found_again",
            "float32",
        ),  # share of them in which its match is as correlated as `found_again` asks for
        ("mean_correlation", "float32"),  # with its matches
        ("models", "int32"),  # other encoders that have a variant among those
        ("universal", "float32"),  # share of these with a variant in which it is found again; nan: none
    ),
)
