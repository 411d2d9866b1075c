#!/bin/bash
# Before programs are run together, the parties compare them: what differs is shown side by
# side and stops the run, unless all want it; what is private is not shown to anybody.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run.sh"

make_session alice bob carol
proxy_start alice bob carol
connected alice bob carol
mkdir "$T/a" "$T/b"
echo 'import sys; print("args", sys.argv[1:])' >"$T/a/prog.py"
echo 'import sys; print("ARGS", sys.argv[1:])' >"$T/b/prog.py"

# all_end CODE
all_end() {
	local name
	for name in alice bob carol; do
		finish "$name-run"
		[ "$STATUS" -eq "$1" ] || fail "$name: exit code $STATUS instead of $1"
	done
}

# shown PATTERN: by every party
shown() {
	local name
	for name in alice bob carol; do logged "$name-run" "$1"; done
}

step "the program's file"
for name in alice carol; do run_start "$name" -- "$PYTHON" "$T/a/prog.py"; done
run_start bob -- "$PYTHON" "$T/b/prog.py"
all_end 76
shown '^  program +alice, carol  prog.py [0-9a-f]{16}$'
shown '^ +bob           prog.py [0-9a-f]{16}$'
shown 'not started'

step "a copy elsewhere is the same, also as a module, and when only a name is"
cp "$T/a/prog.py" "$T/b/same.py"
run_start alice -- "$PYTHON" "$T/a/prog.py"
run_start bob -- "$PYTHON" "$T/b/same.py"
PYTHONPATH=$T/a run_start carol -- "$PYTHON" -m prog
all_end 0

step "MPyC's parameters, and what is shown"
run_start alice -- "$PYTHON" "$T/a/prog.py" -L 16 8
run_start bob -- "$PYTHON" "$T/a/prog.py" -L 32 8
run_start carol -- "$PYTHON" "$T/a/prog.py" -L 16 8
all_end 76
shown '^  arguments   alice, carol  -L 16 \*$'
run_start alice --show-args -- "$PYTHON" "$T/a/prog.py" 8
run_start bob --show-args -- "$PYTHON" "$T/a/prog.py" 9
run_start carol --show-args -- "$PYTHON" "$T/a/prog.py" 8
all_end 76
shown '^ +bob           9$'

step "MPyC's version"
for name in alice bob carol; do
	mkdir -p "$T/$name-lib/mpyc"
	echo "raise SystemExit('it is not to be run')" >"$T/$name-lib/mpyc/__init__.py"
	echo "__version__ = '0.${INDEX[$name]}'" >>"$T/$name-lib/mpyc/__init__.py"
	PYTHONPATH=$T/$name-lib run_start "$name" -- "$PYTHON" "$T/a/prog.py"
done
all_end 76
shown '^  MPyC +alice  0\.0$'
shown '^ +carol  0\.2$'

step "Python's version"
for name in alice bob carol; do
	mkdir "$T/$name-python"
	printf 'import platform\nplatform.python_version = lambda: "%s"\n' \
		"3.$([ "$name" = bob ] && echo 12.1 || echo 11.2)" >"$T/$name-python/sitecustomize.py"
	PYTHONPATH=$T/$name-python run_start "$name" -- "$PYTHON" "$T/a/prog.py"
done
all_end 76
shown '^  Python +alice, carol  3\.11\.2$'
shown '^ +bob           3\.12\.1$'

step "different all the same"
for name in alice bob carol; do
	run_start "$name" --allow-different -- "$PYTHON" "$T/$([ "$name" = bob ] && echo b || echo a)/prog.py"
done
all_end 0
shown '^  program +alice, carol'
logged bob-run 'ARGS'

step "one that does not want that stops it for all"
for name in alice carol; do run_start "$name" --allow-different -- "$PYTHON" "$T/a/prog.py"; done
run_start bob -- "$PYTHON" "$T/b/prog.py"
finish bob-run
[ "$STATUS" -eq 76 ] || fail "bob: $STATUS"
wait_log alice-run 'bob does not start'
kill -TERM "${PID[alice-run]}" "${PID[carol-run]}"
all_end_143() {
	for name in alice carol; do
		finish "$name-run"
		[ "$STATUS" -eq 143 ] || fail "$name: $STATUS"
	done
}
all_end_143

step "secrets stay at home"
run_start alice -- "$PYTHON" "$T/a/prog.py" --salary=4711 -p4711 4711 -4711
run_start bob -- "$PYTHON" "$T/a/prog.py" --salary=815 -p815 815 -815
run_start carol -- "$PYTHON" "$T/b/prog.py" --salary=1 -p1 1 -1
all_end 76
for name in bob carol; do not_logged "$name-run" 4711; done
for name in alice carol; do not_logged "$name-run" 815; done
run_start alice -- "$PYTHON" "$T/a/prog.py" --n 3 '{private}' 4711
run_start bob -- "$PYTHON" "$T/a/prog.py" --n 3 '{private}' 815 816
run_start carol -- "$PYTHON" "$T/a/prog.py" --n 4 '{private}' 1
all_end 76
shown '^  arguments   alice, bob  --n 3 \.\.\.$'
for name in bob carol; do not_logged "$name-run" 4711; done
run_start alice -- "$PYTHON" "$T/a/prog.py" --n 3 '{private}' 4711
run_start bob -- "$PYTHON" "$T/a/prog.py" --n 3 '{private}' 815 816
run_start carol -- "$PYTHON" "$T/a/prog.py" --n 3
all_end 0
logged alice-run "'--n', '3', '4711', '-P'"
