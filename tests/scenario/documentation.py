"""documentation.py TOP MPCPROXY: what the program says of its verbs and options, and the
sources of the keys of its files, against what is written elsewhere. Exits with 1 after
naming all that differs."""
import glob
import os
import re
import subprocess
import sys

TOP, MPCPROXY = sys.argv[1:]
wrong = []

# Not options of ours: --, and those of MPyC and Python that mpcproxy(1) speaks of.
FOREIGN = {"--", "-M", "-T", "-L", "-K", "-m"}


def text(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def program(*arguments):
    return subprocess.run([MPCPROXY, *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout


def differ(what, have, want, where):
    for word in sorted(want - have):
        wrong.append(f"{where}: {what} {word} is missing")
    for word in sorted(have - want):
        wrong.append(f"{where}: there is no {what} {word}")


def options_of(verb):
    lines = program(verb, "--help").splitlines()
    return {o for line in lines if re.match(r"  +-", line) for o in re.findall(r"(?<![\w-])--?[a-z][\w-]*", line[:26])}


verbs = set(re.findall(r"^  ([a-z]+) ", program("--help"), re.M))
options = {verb: options_of(verb) for verb in verbs}
every_option = set().union(*options.values())
for verb in verbs:
    wrong += [f"{verb} --help: wider than 80 columns: {line}" for line in program(verb, "--help").splitlines() if len(line) > 80]
assert len(verbs) >= 20 and all(len(options[v]) >= 3 for v in verbs), options

# mpcproxy(1)
manual = text("doc/mpcproxy.1")
synopsis, description = manual.split(".Sh DESCRIPTION")[0], manual.split("The verbs are:")[1].split(".Sh PROGRAMS")[0]
differ("verb", set(re.findall(r"^\.(?:Op )?Cm ([a-z]+)$", synopsis, re.M)), verbs, "mpcproxy.1, SYNOPSIS")
differ("verb", set(re.findall(r"^\.It Cm ([a-z]+)", description, re.M)), verbs, "mpcproxy.1, verbs")
flags = set()
for line in re.findall(r"^\.(.*\bFl\b.*)$", manual, re.M):
    for words in re.findall(r"\bFl ((?:-[\w-]*|[A-Za-z])(?: [|,] (?:-[\w-]+|[A-Za-z])(?= |$))*)", line):
        flags |= {"-" + word for word in re.split(" [|,] ", words)}
differ("option", flags - FOREIGN, every_option, "mpcproxy.1")

# bash: what is offered behind `mpcproxy VERB -`
SCRIPT = """
source "$1"
for verb in $2; do
	COMP_WORDS=(mpcproxy "$verb" -) COMP_CWORD=2 COMPREPLY=()
	_mpcproxy
	echo "$verb ${COMPREPLY[*]}"
done
COMP_WORDS=(mpcproxy "") COMP_CWORD=1 COMPREPLY=()
_mpcproxy
echo "verbs ${COMPREPLY[*]}"
"""
offered = {}
for line in subprocess.run(["bash", "-c", SCRIPT, "bash", f"{TOP}/contrib/completion/mpcproxy", " ".join(verbs)],
                           check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines():
    name, *words = line.split()
    offered[name] = set(words)
differ("verb", offered.pop("verbs"), verbs, "bash completion")
for verb in sorted(verbs):
    differ("option", offered[verb], options[verb], f"bash completion, {verb}")

# zsh: its lists, and the cases of its verbs
zsh = text("contrib/completion/_mpcproxy")


def zsh_options(part):
    part = re.sub(r"\[[^]]*\]", "", re.sub(r"'\(-[^)]*\)'", "", part))
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", part))


lists = {name: body for name, body in re.findall(r"^\t(\w+)=\(\n(.*?)^\t\)$", zsh, re.M | re.S)}
lists["common"] = re.search(r"^\tcommon=\((.*)\)$", zsh, re.M)[1]
differ("verb", set(re.findall(r"^\s+['\"]([a-z]+):", lists["verbs"], re.M)), verbs, "zsh completion")
for names, body in re.findall(r"^\t([a-z|]+)\)\n(.*?);;$", zsh, re.M | re.S):
    have = zsh_options(body.replace("_arguments -s", ""))
    for name in re.findall(r"\$(\w+)", body):
        have |= zsh_options(lists.get(name, ""))
    for verb in names.split("|"):
        differ("option", have, options.pop(verb), f"zsh completion, {verb}")
for verb in options:
    wrong.append(f"zsh completion: verb {verb} has no case")

# Keys
for kind, source, table in (("local", "src/session/local_keys.c", "keys"),
                            ("session", "src/session/session.c", "keys")):
    keys = set(re.findall(r'\{"([a-z0-9-]+)", [a-z_0-9]+, (?:true|false)\}', text(source)))
    assert len(keys) > 5, keys
    page = text(f"doc/mpcproxy-{kind}.ini.5")
    named = set()
    for line in re.findall(r"^\.It (Cm .*)$", page, re.M):
        named |= set(re.findall(r"Cm ([a-z0-9-]+) No =", line))
    differ("key", named, keys, f"mpcproxy-{kind}.ini.5")
    sample = set(re.findall(r"^(?:; )?([a-z0-9-]+) += ", text(f"conf/{kind}.ini"), re.M))
    differ("key", {k for k in sample if not k.isdigit()}, keys - {"version", "host", "signature"}, f"conf/{kind}.ini")

# Commands of README.md and the other texts
options = {verb: options_of(verb) for verb in verbs}
commands = re.findall(r"^\| (`mpcproxy .*?) \|", text("README.md"), re.M)
differ("verb", {v for c in commands for v in re.findall(r"`(?:mpcproxy )?((?!mpcproxy)[a-z]+)", c)}, verbs, "README.md, Verbs")
for name in ("README.md", "contrib/container/README.md", "contrib/systemd/mpcproxy@.service", "conf/session.ini",
             "conf/local.ini", "doc/design.md", "doc/threats.md"):
    for command in re.findall(r"(?:^ +\$ |[`(=]|&& )mpcproxy ([^`#|)\n]*)", text(name), re.M):
        words = command.split(" -- ")[0].split()
        verb = words[0] if words and re.fullmatch("[a-z]+", words[0]) else "run"
        if verb == "mpcproxy":
            continue
        if verb not in verbs:
            wrong.append(f"{name}: there is no verb {verb}: {command}")
            continue
        given = {w.split("=")[0] for w in words if re.fullmatch(r"--?[a-z].*", w)}
        for option in sorted(given - options[verb]):
            wrong.append(f"{name}: {verb} has no option {option}: {command}")

# Links
texts = [t for depth in ("", "*/", "*/*/") for t in glob.glob(depth + "*.md", root_dir=TOP)]
assert "doc/design.md" in texts, texts
for name in texts:
    headings = {re.sub("[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall("^#+ (.*)$", text(name), re.M)}
    for link in re.findall(r"\]\(([^)\s]+)\)", text(name)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        if path and not os.path.exists(os.path.join(TOP, os.path.dirname(name), path)):
            wrong.append(f"{name}: {path} is not there")
        if not path and anchor not in headings:
            wrong.append(f"{name}: there is no heading for #{anchor}")

for line in wrong:
    print(line)
sys.exit(1 if wrong else 0)
