"""The --format flags. In a module of their own: a command that is asked for nothing else must not load what formats."""

from corten.cli.flags import Flag
from corten.cli.kinds import STRING

FORMAT_HELP = (
    "How to print:\n'table':            a table with headings (default)\n'table TEMPLATE':   a table of the columns of a Go template\n"
    "'json':             one JSON object a line\n'TEMPLATE':         a Go template for each row"
)
ONE_FORMAT_HELP = "How to print:\n'json':             as JSON\n'TEMPLATE':         through a Go template"
FORMAT_FLAG = Flag("format", STRING, ONE_FORMAT_HELP, short="f")
LIST_FORMAT_FLAG = Flag("format", STRING, FORMAT_HELP)
