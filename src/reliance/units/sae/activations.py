"""How SAEs are applied, by what their files call the activation."""

ENCODERS = {
    "topk": "reliance.units.sae.top_k:ENCODER",
    "signed_topk": "reliance.units.sae.signed_top_k:ENCODER",
    "jumprelu": "reliance.units.sae.threshold:ENCODER",
}
