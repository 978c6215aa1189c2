"""The families of models by name, in the order they are tried: a model is of the first one that it fits.

A family is a row here and a module with FAMILY. Which one a model is of is found out once, by
`resolve_weights`, and its parts are recorded in weights.json. The jobs that embed read them there: they reach
no family, and a new one reruns nothing.
"""

FAMILIES = {
    "vision_transformer": "reliance.encoders.families.vision_transformer",
    "any_clip": "reliance.encoders.families.any_clip",  # whatever else there is
}
