# Reads the configuration before Snakemake does, for an error that names the line.
from reliance.errors import RelianceError
from reliance.settings import check_yaml

try:
    check_yaml("config/config.yaml")
except RelianceError as error:
    sys.exit(f"\nERROR {error}\n")
