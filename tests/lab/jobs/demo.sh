# SPDX-License-Identifier: LGPL-2.1-or-later
# The main job as a user would do it: a stock guest attacks its kernel under protection; the log tells what happened.
ringfence demo --kernel "$GUEST/6.12/vmlinuz" --initrd "$GUEST/6.12/initrd"
