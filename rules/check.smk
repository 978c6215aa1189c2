# Reads the configuration files themselves, for errors that name the line, and for keys that are given twice.
from snakemake.logging import logger

from reliance.base.errors import RelianceError
from reliance.config.yaml_file import check_yaml
from reliance.running.progress import begin

try:
    for file in [SHIPPED, *map(str, workflow.overwrite_configfiles)]:
        if file.endswith((".yaml", ".yml")):
            check_yaml(os.path.relpath(file) if file.startswith(os.getcwd() + os.sep) else file)
except RelianceError as error:
    sys.exit(f"\nERROR {error}\n")

# Whether anything will be written is not known yet: a dry run or a finished target needs no permission.
results = str(workflow.modifier.path_modifier.modify("results"))  # elsewhere in a module with a prefix
read_only = os.path.isdir(results) and not os.access(results, os.W_OK)

if read_only:
    problem = RelianceError(
        os.path.abspath(results),
        "artifacts are written to a folder in which you may write",
        found="a folder that is read-only for you",
        allowed="a folder of your own",
        next_step="copy the project with `rsync -a`, results and .snakemake too, and build there; embeddings alone "
        "can be used where they are, with the key embeddings_from of an encoder",
    )
    sys.stderr.write(f"\nWARNING {problem}\n\n")


onstart:
    if read_only:
        sys.exit("\nERROR nothing can be written into results: see the warning above\n")
    if workflow.local_exec:
        begin(logger, sys.stderr)
