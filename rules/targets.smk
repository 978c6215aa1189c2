# Files that are asked for on the command line, for an error that names what there is. Not in a workflow that
# has rules of its own beside these.
from reliance.plan.targets import check_targets

if Path(workflow.main_snakefile).resolve() == Path(str(PROJECT), "workflow", "Snakefile").resolve():
    told(check_targets)(sys.argv[1:], STAGES)
