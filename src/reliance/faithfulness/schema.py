"""Schema of the faithfulness table and of its summary, apart from the code that needs torch.

protocol          how latents are ordered and what is done with them (Sec. 5.1, App. B.2)
method            the score that orders them; `greedy` is no method but the best order step by step
error_term        frozen: the stored class token, its reconstruction error kept while latents change;
                  dropped: everything, the scores too, on the reconstruction aV + b
restrict_to_active  whether the order is over the active latents of the image, or over all m of them,
                  where deleting an inactive one changes nothing
class_id, subset    one row per step and cell: the images of one class in one of the disjoint subsets.
                  Subsets give the errors of the paper's figures, classes those of our verdicts
n, y, y_std       images of the cell, mean of their outputs, and its standard deviation (ddof=1; nan of one)

The output of a random order is the mean over several orders, since all images of a class share them in
global and reference deletion and one order would decide how bad chance looks. These are of the latents that
fire on the class. Local curves end after k steps, where no image has an active latent left.
"""

from reliance.base.artifacts import TableSpec

FAITHFULNESS = TableSpec(
    "faithfulness",
    2,
    (
        ("protocol", "string"),
        ("method", "string"),
        ("error_term", "string"),
        ("restrict_to_active", "bool"),
        ("step", "int32"),
        ("class_id", "int32"),
        ("subset", "int32"),
        ("n", "int64"),
        ("y", "float64"),
        ("y_std", "float64"),
    ),
)
SUMMARY, SUMMARY_SCHEMA = "faithfulness_summary", 1  # kind and schema version of the JSON artifact

LOCAL_DELETION, LOCAL_INSERTION = "local_deletion", "local_insertion"
GLOBAL_DELETION, REFERENCE_DELETION = "global_deletion", "reference_deletion"
PROTOCOLS = (LOCAL_DELETION, LOCAL_INSERTION, GLOBAL_DELETION, REFERENCE_DELETION)
METHODS = (
    "act_x_grad",
    "ablation",
    "integrated_gradients",
    "act_x_lens",
    "logit_lens",
    "energy",
    "random",
)
GREEDY = "greedy"  # local protocols only
UNRESTRICTED = ("logit_lens", "random")  # the local orders that change without the restriction
CLASS_ORDERS = 10  # random orders per class, the same in global and reference deletion
IMAGE_ORDERS = 3  # random orders per image in the local protocols
ERROR_TERMS = FROZEN, DROPPED = "frozen", "dropped"
