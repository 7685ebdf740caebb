# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs one job: its folder is the current one, its script is run.sh, what it leaves in $OUT goes back to the caller.
PATIENCE=$(cat patience)
. "${LAB:-/lab}/lib.sh"
. ./run.sh
