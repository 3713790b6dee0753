"""`python -m corten.daemon`."""

from corten.daemon.program import exit_main

exit_main()
