# SPDX-License-Identifier: LGPL-2.1-or-later
# Part of run.sh: what ringfence prints beside a guest that prints as well, on one terminal or not. The VMM of these cases
# stands for a guest's console: it says what a guest would have to, to look like us and to hide what we say next.
FAKE=attach; export FAKE
esc=$(printf '\033')
begin=$(printf '\030\033[0m\033(B\017\r\033[K') # hv/terminal.h
cat >"$work/console.c" <<'END'
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	/* Concealed, drawn, in a title that never ends; and in the middle of a line. */
	fputs("ringfence: web: all is well\n\033[8m\033(0login: \033]0;", stdout);
	fflush(stdout);
	sleep(1);
	return 7;
}
END
gcc -o "$work/bin/console" "$work/console.c"
vmm="$run --name web --start-timeout 5 -- $work/bin/console"

# on_terminal NAME TEXT COMMAND: TEXT stands at the beginning of a line of ours on a terminal.
on_terminal() {
	name=$1 text=$2
	timeout 60 script -q -e -c "$3" "$out" >/dev/null 2>"$err" </dev/null
	if grep -a -q -F "$begin$text" "$out"; then ok; else bad "no \"$text\" behind a reset"; fi
}
if command -v script >/dev/null; then
	on_terminal terminal-error 'ringfence: policy' "$rf policy show /nonexistent/x"
	if [ -n "$have_kvm" ]; then
		on_terminal terminal-run 'ringfence: web: the guest kernel is sealed' "$vmm"
		# The control: the guest's own line is there too, and has no reset before it but what it likes.
		if grep -a -q "all is well" "$out"; then ok; else bad "the guest has said nothing"; fi
	fi
	on_terminal terminal-monitor 'ringfence-monitor: --fold-fd is not such memory' \
		"$build/ringfence-monitor --fence-fd 9 --audit-fd 9 --fold-fd 9"
else
	skip terminal 'there is no script(1)'
fi
# Not a terminal: lines as ever, for who reads them by program.
name=pipe-has-no-reset
"$rf" policy show /nonexistent/x >"$out" 2>"$err"
if grep -q "^ringfence: policy" "$err" && ! grep -q "$esc" "$err"; then ok; else bad "escapes in a file"; fi
name=pipe-has-no-reset-monitor
"$build/ringfence-monitor" --fence-fd 9 --audit-fd 9 --fold-fd 9 >"$out" 2>"$err"
if grep -q "^ringfence-monitor: " "$err" && ! grep -q "$esc" "$err"; then ok; else bad "escapes in a file"; fi

try messages-fd-closed 125 'no descriptor that can be written to' $run --messages-fd 9 -- "$work/bin/console"
try messages-fd-read-only 125 'no descriptor that can be written to' sh -c "$run --messages-fd 5 -- $work/bin/console 5</dev/null"
try messages-fd-of-the-vmm 125 'cannot be the VMM' sh -c "$run --messages-fd 5 --pass-fd 5 -- $work/bin/console 5>&2"
try messages-fd-standard 125 'a number from 3' $run --messages-fd 2 -- "$work/bin/console"

if [ -z "$have_kvm" ]; then
	skip messages-fd "no usable /dev/kvm, so nothing can be started"
else
# A channel of its own: all of ours there, nothing but the VMM's on standard output and error.
name=messages-fd
ours=$work/ours
timeout 60 $run --name web --start-timeout 5 --messages-fd 5 -- "$work/bin/console" >"$out" 2>"$err" 5>"$ours" </dev/null
if ! grep -q '^ringfence: web: the guest kernel is sealed' "$ours"; then
	bad "nothing of ours on the channel"
elif grep -a -v 'all is well' "$out" "$err" | grep -a -q 'ringfence: '; then
	bad "ours, beside the channel"
elif grep -q 'all is well' "$ours"; then
	bad "the guest's line is on our channel"
else
	ok
fi
# The monitor's as well.
name=messages-fd-monitor
cat >"$work/bin/loud-monitor" <<'END'
#!/bin/sh
echo "ringfence-monitor: heard" >&2
exit 2
END
chmod +x "$work/bin/loud-monitor"
mv "$work/bin/ringfence-monitor" "$work/bin/kept-monitor"
mv "$work/bin/loud-monitor" "$work/bin/ringfence-monitor"
timeout 60 $run --name web --start-timeout 5 --messages-fd 5 -- "$work/bin/console" >"$out" 2>"$err" 5>"$ours" </dev/null
mv "$work/bin/kept-monitor" "$work/bin/ringfence-monitor"
if grep -q '^ringfence-monitor: heard' "$ours" && ! grep -q heard "$err"; then ok; else bad "the monitor speaks elsewhere"; fi
# Who reads it may go.
name=messages-fd-nobody-reads
mkfifo "$work/nobody"
(exec 5<>"$work/nobody" 6>"$work/nobody" 5>&-; timeout 60 $run --name web --start-timeout 5 --messages-fd 6 -- "$work/bin/console" \
	>"$out" 2>"$err" </dev/null; echo $? >"$work/code")
case $(cat "$work/code") in 7) ok ;; *) bad "it ended with $(cat "$work/code")" ;; esac
# Who reads it may stand still: the pipe is full, and its VM is ended and another one's monitor replaced all the same.
name=messages-fd-full
(exec 5<>"$work/nobody"; exec 6>"$work/nobody"
	python3 -c 'import os; os.set_blocking(6, False)
while True:
    try: os.write(6, b"x" * 4096)
    except BlockingIOError: break'
	python3 -c 'import os; os.set_blocking(6, True)'
	FAKE=crash; : >"$FAKE_LOG"
	timeout 60 $run --name web --start-timeout 5 --messages-fd 6 -- "$work/bin/vmm" 4 >"$out" 2>"$err" </dev/null; echo $? >"$work/code")
[ "$(cat "$work/code")" = 0 ] && [ "$(wc -l <"$FAKE_LOG")" -ge 4 ] && ok || bad "it ended with $(cat "$work/code"), $(wc -l <"$FAKE_LOG") monitors"
# Nor does a terminal whose reader stands still: POLLOUT is said while there is less room than a line.
unread() { # NAME MODE TEXT
	name=$1; : >"$FAKE_LOG"
	FAKE=crash timeout 200 python3 "$here/unread.py" "$2" 7 $run --name web --start-timeout 5 -- "$work/bin/vmm" 200 >"$out" 2>"$err"
	grep -a -q '^exit 143' "$out" && grep -a -q "$3" "$out" && ok || bad "kept, or no \"$3\""
}
unread terminal-read read 'another monitor (process .*) serves again'
name=terminal-read-whole; grep -a -q 'were lost' "$out" && bad "lines are lost that somebody reads" || ok
unread terminal-unread filled xxxx
unread terminal-read-late late '[1-9][0-9]* lines before this were lost'
# The VMM does not get it.
name=messages-fd-not-inherited
printf '#include <unistd.h>\n#include <fcntl.h>\nint main(void) { sleep(1); return fcntl(5, F_GETFD) < 0 ? 41 : 42; }\n' >"$work/has.c"
gcc -o "$work/bin/has" "$work/has.c"
timeout 60 $run --name web --start-timeout 5 --messages-fd 5 -- "$work/bin/has" >"$out" 2>"$err" 5>"$ours" </dev/null
code=$?
if [ $code = 41 ]; then ok; else bad "exit code $code"; fi
fi

# What a guest or a VMM has made up: no control byte of it gets out.
name=printable-monitor
"$build/ringfence-monitor" --fence-fd 9 --audit-fd 9 --policy "/nonexistent/$(printf 'a\033[8m\nb')" >"$out" 2>"$err"
if LC_ALL=C grep -q '[^ -~]' "$err"; then bad "control bytes"; else ok; fi
try printable-name 3 'a?.8m' "$rf" status "$(printf '/nonexistent/a\033[8m')"
