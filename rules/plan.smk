# The plan of this configuration: the keys that were given over the shipped ones, and the stages as rules.
import yaml
from snakemake.utils import update_config

from reliance.config.resolve import load
from reliance.plan.paths import CONSTRAINTS, IMAGES
from reliance.plan.plan import Plan
from reliance.plan.report import demo_targets
from reliance.plan.wiring import told, wire
from reliance.plan.stages import STAGES

merged = yaml.safe_load(Path(SHIPPED).read_text(encoding="utf-8"))
update_config(merged, config)
REMOTE = workflow.storage_settings.default_storage_provider is not None  # results lie in a bucket
modifier = workflow.modifier.path_modifier
PLAN = Plan(
    told(load)(merged),
    place=modifier.replace_prefix if REMOTE else modifier.modify,
    keep=local if REMOTE else None,
)
ENVIRONMENT = str(PROJECT / "envs" / "reliance.yaml").replace("{", "{{").replace("}", "}}")  # it is a pattern
WIRED = wire(STAGES, PLAN, PROJECT)


wildcard_constraints:
    **CONSTRAINTS,


def outputs(stage):
    """The outputs of a stage: which are folders, and what goes into Snakemake's report."""
    files = {name: directory(path) if name in stage.folders else path for name, path in stage.outputs.items()}
    if REMOTE:  # drawn images are read where they lie, as all images are
        files = {name: local(file) if stage.outputs[name] == IMAGES else file for name, file in files.items()}
    if shown := stage.listed:
        own = PROJECT / "workflow" / "report" / f"{shown.name}.rst"
        caption = f"../workflow/report/{shown.name if own.exists() else 'figure'}.rst"
        files[shown.output] = report(
            files[shown.output], caption=caption, category=shown.category, labels=shown.labels
        )
    return files
