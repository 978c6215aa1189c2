# The plan of this configuration: the keys that were given over the shipped ones, and the stages as rules.
import yaml
from snakemake.utils import update_config

from reliance.config.resolve import load
from reliance.plan.paths import CONSTRAINTS
from reliance.plan.plan import Plan
from reliance.plan.report import demo_targets
from reliance.plan.wiring import Wired, told
from reliance.plan.stages import STAGES

merged = yaml.safe_load(Path(SHIPPED).read_text(encoding="utf-8"))
update_config(merged, config)
PLAN = Plan(told(load)(merged), place=workflow.modifier.path_modifier.modify)
ENVIRONMENT = str(PROJECT / "envs" / "reliance.yaml").replace("{", "{{").replace("}", "}}")  # it is a pattern
WIRED = [Wired(stage, PLAN, PROJECT) for stage in STAGES]


wildcard_constraints:
    **CONSTRAINTS,


def outputs(stage):
    """The outputs of a stage: which are folders, and what goes into Snakemake's report."""
    files = {name: directory(path) if name in stage.folders else path for name, path in stage.outputs.items()}
    if shown := stage.listed:
        own = PROJECT / "workflow" / "report" / f"{shown.name}.rst"
        caption = f"../workflow/report/{shown.name if own.exists() else 'figure'}.rst"
        files[shown.output] = report(
            files[shown.output], caption=caption, category=shown.category, labels=shown.labels
        )
    return files
