# Reads the configuration files themselves, for errors that name the line, and for keys that are given twice.
from reliance.errors import RelianceError
from reliance.yaml_file import check_yaml

given = [str(file) for file in workflow.overwrite_configfiles]

try:
    for file in ["config/config.yaml", *(f for f in given if f.endswith((".yaml", ".yml")))]:
        check_yaml(file)
except RelianceError as error:
    sys.exit(f"\nERROR {error}\n")
