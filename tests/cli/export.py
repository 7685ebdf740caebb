#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""export.py RINGFENCE KINDS SEEDS: what `ringfence audit export` makes of records of each kind.

KINDS is a file with the kinds of decisions that the monitor's sources write, SEEDS a folder of lines of real logs. Each
kind must have a row of its own in the table of the command, and each event be as OCSF wants it (ocsf-required.json). What
goes out is read back here by a reader of each format. Prints what is wrong, and how much was looked at."""
import datetime
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.join(HERE, "..", "..")
SCHEMA = json.load(open(os.path.join(HERE, "ocsf-required.json"), encoding="utf-8"))
HASH = "5e" * 32
NASTY = ["\n", "x\r\n<13>1 - - - - - -", "a|b\\", "k=v cs6=0", 'q"] [x@1 y="', "\x1b[31m", "\u009b1m\u0085", "\u2028\u202e", "\U0001f600",
         "\x7f\x01", "\\n\\\\", "]", '"', "%n", "\n\nMESSAGE=x"]
wrong: list[str] = []
looked = 0


def check(good: bool, what: str) -> None:
    global looked
    looked += 1
    if not good:
        wrong.append(what)


# --- records ---------------------------------------------------------------------------------------------------------
def record(**members) -> dict:
    """As the monitor writes one, with the members that are given."""
    return {"time": "2024-05-01T10:00:00.123456789Z", "vm": "web", "instance": "0x1", "seq": 7, "mono_ns": 5000000,
            "boot_id": "00000000-1111-2222-3333-444444444444", **members, "prev": "00" * 32, "hash": HASH}


def types_of_lines() -> set[str]:
    """Those that policy/ begins a line with, by any of its functions."""
    text = "".join(open(os.path.join(ROOT, "policy", f), encoding="utf-8").read() for f in os.listdir(os.path.join(ROOT, "policy")) if f.endswith(".c"))
    return set(re.findall(r'(?:start_line|begin_line|rf_audit_line)\(a, "([a-z]+)"', text))


def outcomes() -> list[str]:
    """Those by which the table tells records of a kind apart."""
    rows = open(os.path.join(ROOT, "cli", "export_rows.c"), encoding="utf-8").read()
    return re.findall(r'\{ "(?:decision|outcome)", (?:"[a-z-]+"|NULL), \w+, "([^"]+)"', rows)


PLACE = {"symbol": "f", "offset": "0x4", "addr": "0xffffffff82000190", "module": "m"}
TASK = {"comm": "init", "pid": 1, "uid": 0, "claimed_by_guest": True}


def all_records(kinds: list[str], types: set[str]) -> list[dict]:
    found = []
    for kind, verdict, how, full in itertools.product(kinds, [None, "allowed", "blocked", "undone", "detected"],
                                                      [None, "another", "the VM is ended", *outcomes()], [False, True]):
        members = {"type": "decision", "kind": kind, "verdict": verdict, "outcome": how}
        if full:
            members.update(event=3, vcpu=0, target=PLACE, writer=PLACE, task=TASK, len=8, old="00", new="01", region="text",
                           rule="rodata-is-never-written", detail="LSTAR (MSR 0xc0000082) <- 0x0")
        found.append(record(**{k: v for k, v in members.items() if v is not None}))
    for kind in [*kinds, "other"]:
        found.append(record(type="folded", number=1, kind=kind, rule="r", verdict="any", of="many places", count=3,
                            first="2024-05-01T09:00:00.5Z", last="2024-05-01T09:00:01.5Z"))
    more = {"event": 3, "status": "ok", "from": 1, "to": 6, "detail": "lines 1 to 6 are not in this file", "tree_size": 6, "root": "00",
            "note": "ringfence/audit/web/0x1\n6\nAAAA\n\n\u2014 key x\n", "number": 2, "cause": "log_quota_mb", "decisions": 7,
            "rules": {"write rodata-is-never-written blocked, VM ended": 7}}
    found += [record(type=t, **more) for t in sorted(types - {"decision", "folded"})]
    return found + [record(type="outcome", event=3, status="failed")]


def hostile_records() -> list[dict]:
    found = []
    for n in NASTY:
        place = {"symbol": n, "offset": n, "addr": n, "module": n}
        found.append(record(type="decision", kind="hook", rule=n, verdict="detected", region=n, outcome=n, detail=n, target=place,
                            handler=place, task={"comm": n, "pid": 1, "uid": 0}))
        found.append({**record(type=n, kind=n, verdict=n, count=1, cause=n, **{n: {n: n}}), "vm": n, "time": n, "instance": n, "hash": n})
    return found


def export(ringfence: str, form: str, records: list[dict]) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="ascii") as log:
        log.writelines(json.dumps(r) + "\n" for r in records)
        log.flush()
        done = subprocess.run([ringfence, "audit", "export", "--format", form, log.name], stdout=subprocess.PIPE, timeout=60, check=False)
    check(done.returncode == 0, f"{form}: exit code {done.returncode}")
    bad = [b for b in set(done.stdout) if not 0x20 <= b <= 0x7e and b != 10]
    check(not bad, f"{form}: bytes that are not printable ASCII: {bad}")
    return done.stdout.decode("ascii", "replace")


# --- OCSF ------------------------------------------------------------------------------------------------------------
PLAIN = {"integer": int, "string": str, "boolean": bool, "object": dict}


def check_value(value, attribute: dict, at: str) -> None:
    if attribute.get("array"):
        check(isinstance(value, list) and value != [], f"{at} is no list")
        for i, v in enumerate(value):
            check_value(v, {**attribute, "array": False}, f"{at}[{i}]")
    elif attribute["type"] in PLAIN:
        kind = PLAIN[attribute["type"]]
        check(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)), f"{at} is no {attribute['type']}: {value!r}")
        check("enum" not in attribute or str(value) in attribute["enum"], f"{at} is none of the enumeration: {value!r}")
        check(value != "", f'{at} is ""')
    else:
        check_object(value, SCHEMA["objects"][attribute["type"]], at)


def check_object(o, schema: dict, at: str) -> None:
    check(isinstance(o, dict), f"{at} is no object")
    for name, attribute in schema["attributes"].items():
        check(name in o or not attribute.get("required"), f"{at} lacks {name}")
    for name, value in o.items():
        check(name in schema["attributes"], f"{at} has {name}, which is not in ocsf-required.json")
        if name in schema["attributes"]:
            check_value(value, schema["attributes"][name], f"{at}.{name}")
    check("at_least_one" not in schema or any(n in o for n in schema["at_least_one"]), f"{at} has none of {schema.get('at_least_one')}")


def check_ocsf(o: dict, of: dict) -> None:
    at = f"{of.get('type')} {of.get('kind')} {of.get('verdict')} {of.get('outcome')}"
    cls = SCHEMA["classes"].get(str(o.get("class_uid")))
    check(cls is not None, f"{at}: class {o.get('class_uid')} is not in ocsf-required.json")
    if cls is None:
        return
    attributes = {**SCHEMA["common"], **cls["attributes"]}
    check_object(o, {"attributes": attributes}, at)
    check(o["type_uid"] == o["class_uid"] * 100 + o["activity_id"], f"{at}: type_uid {o['type_uid']}")
    check(o["category_uid"] == o["class_uid"] // 1000 and o["class_name"] == cls["name"], f"{at}: category or name of another class")
    # The name beside an id is that of the enumeration; 99 has the source's own.
    for name in ("activity_id", "severity_id", "action_id", "disposition_id"):
        beside = name[:-3] + ("_name" if name == "activity_id" else "")
        if name in o and o[name] != 99:
            check(o.get(beside) == attributes[name]["enum"].get(str(o[name])), f"{at}: {beside} {o.get(beside)!r}")
        elif name in o:
            check(bool(o.get(beside)), f"{at}: {name} 99 without a word")
    check(o["unmapped"] == of, f"{at}: unmapped is not the record")
    check(o["metadata"]["version"] == SCHEMA["version"], f"{at}: another version than ocsf-required.json")
    verdict = of.get("verdict")
    if isinstance(verdict, str) and verdict:
        check(o["is_alert"] == (verdict != "allowed"), f"{at}: is_alert {o['is_alert']}")
    check(o["is_alert"] == (o["severity_id"] > 1), f"{at}: severity {o['severity_id']}, alert {o['is_alert']}")


def alerts_of_the_manual() -> dict[str, set[str]]:
    """Of each kind the words that begin the last column of its rows."""
    manual = open(os.path.join(ROOT, "docs", "ringfence.1.scd"), encoding="utf-8").read()
    table = re.search(r"^\[\[ \*kind\*\n.*?\n\n", manual, re.S | re.M)[0]
    found: dict[str, set[str]] = {}
    for kind, alert in re.findall(r"^\|  ([a-z-]+).*\n(?::  .*\n(?:   .*\n)*)(?::  (yes|no|by))", table, re.M):
        found.setdefault(kind, set()).add(alert)
    return found


def check_rows(ringfence: str, kinds: list[str], types: set[str]) -> None:
    """No kind that the product writes falls to the base event of what is not known, which is type_uid 0."""
    ones = [record(type="decision", kind=k, verdict="blocked") for k in kinds] + [record(type="decision", kind=k) for k in kinds]
    ones += [record(type=t, kind="write") for t in types]
    for of, line in zip(ones, export(ringfence, "ocsf", ones).splitlines()):
        check(json.loads(line)["type_uid"] != 0, f"no row for {of['type']} {of['kind']}: add one to cli/export_rows.c")
    # Without a verdict it is as the manual says, where that does not depend on the outcome.
    manual = {k: words.pop() for k, words in alerts_of_the_manual().items() if len(words) == 1}
    check(len(manual) >= 15, f"the manual tells of {sorted(manual)} alone")
    ones = [record(type="decision", kind=k) for k, word in manual.items() if word != "by"]
    for of, line in zip(ones, export(ringfence, "ocsf", ones).splitlines()):
        check(json.loads(line)["is_alert"] == (manual[of["kind"]] == "yes"), f"{of['kind']} is an alert, or none, against the manual")
    line = export(ringfence, "ocsf", [record(type="decision", kind="of-a-later-release", verdict="blocked")])
    check(json.loads(line)["type_uid"] == 0 and json.loads(line)["is_alert"], "a kind that is not known is no base event, or no alert")
    rows = open(os.path.join(ROOT, "cli", "export_rows.c"), encoding="utf-8").read()
    named = set(re.findall(r'\{ "decision", "([a-z-]+)"', rows))
    check(named == set(kinds), f"rows and kinds differ: {sorted(named ^ set(kinds))}")
    check(len(kinds) >= 18 and len(types) >= 7, "next to no kinds were found in the sources")


# --- the others ------------------------------------------------------------------------------------------------------
ECS = {"intrusion_detection": {"allowed", "denied", "info"}, "host": {"access", "change", "end", "info", "start"}}


def check_ecs(o: dict, of: dict) -> None:
    event = o["event"]
    check(event["kind"] in ("alert", "event") and len(event["category"]) == 1, f"ecs: {event}")
    check(set(event["type"]) <= ECS[event["category"][0]], f"ecs: {event['type']} is no type of {event['category']}")
    check(event.get("outcome", "unknown") in ("success", "failure", "unknown"), f"ecs: {event}")
    datetime.datetime.fromisoformat(o["@timestamp"].replace("Z", "+00:00"))
    check(o["ringfence"] == of, "ecs: not the record")


def check_falco(o: dict, of: dict) -> None:
    check(set(o) == {"hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time"}, f"falco: {sorted(o)}")
    check(o["priority"] in ("Informational", "Warning", "Error", "Critical"), f"falco: {o['priority']}")
    check(all(o[k] for k in o) and o["output_fields"]["ringfence.hash"] == of["hash"], "falco: something is empty, or another record's")
    datetime.datetime.fromisoformat(o["time"].replace("Z", "+00:00"))


def safe(text: str) -> str:
    """What the text formats make of a text: a "?" for each byte that is none of printable ASCII."""
    return "".join(chr(b) if 0x20 <= b <= 0x7e else "?" for b in text.encode())


def unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def check_cef(line: str, of: dict) -> None:
    parts = re.match(r"CEF:0" + r"\|((?:[^|\\]|\\[|\\])*)" * 6 + r"\|(.*)$", line)
    check(parts is not None, f"cef: no header: {line}")
    if not parts:
        return
    extension = parts[7]
    check(not re.search(r"(?<!\\)(?:\\\\)*\\[^\\=]", extension), f"cef: an escape that is none: {extension}")
    found = {k: unescape(v) for k, v in re.findall(r"(?:^| )(\w+)=((?:[^=\\]|\\.)*?)(?= \w+=|$)", extension)}
    check(parts[1] == parts[2] == "ringfence" and parts[6] in ("2", "5", "8", "10"), f"cef: {line}")
    if of.get("rule"):
        check(unescape(parts[4]) == safe(of["rule"])[:64] == found.get("cs1"), f"cef: the rule is {parts[4]} and {found.get('cs1')}")
    check(found.get("cs6") == safe(of["hash"]), f"cef: the hash is {found.get('cs6')}")
    check(len(set(found)) == len(re.findall(r"(?:^| )\w+=", re.sub(r"\\.", "__", extension))), f"cef: a key that is there twice: {extension}")


def leaves(o: dict, before: str = ""):
    for key, value in o.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            yield from leaves(value, name + ".")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield re.sub(r"[^A-Za-z0-9._-]", "_", "".join(safe(name)))[:32] or "_", safe(text)


def check_syslog(line: str, of: dict) -> None:
    parts = re.match(r'<(\d{1,3})>1 (\S+) (\S{1,255}) ringfence - (\S{1,32}) \[ringfence@32473((?: [\w.-]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] (.+)$', line)
    check(parts is not None, f"syslog: not RFC 5424: {line}")
    if not parts:
        return
    found = [(n, unescape(v)) for n, v in re.findall(r' ([\w.-]+)="((?:[^"\\\]]|\\.)*)"', parts[5])]
    check(int(parts[1]) // 8 == 13, f"syslog: facility of {parts[1]}")
    check([v for _, v in found] == [v for _, v in leaves(of)], f"syslog: other values than the record's: {line}")
    if all(n.isascii() for n in of):
        check([n for n, _ in found] == [n for n, _ in leaves(of)], f"syslog: other names than the record's: {line}")


def check_journal(text: str, records: list[dict]) -> None:
    entries = text.split("\n\n")
    check(entries.pop() == "" and len(entries) == len(records), f"journal: {len(entries)} entries of {len(records)} records")
    for entry, of in zip(entries, records):
        fields = [line.partition("=") for line in entry.split("\n")]
        check(all(re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", n) and eq for n, eq, _ in fields), f"journal: {entry}")
        own = [v for n, _, v in fields if n.startswith("RINGFENCE_")]
        check(own == [v for _, v in leaves(of)], f"journal: other values than the record's: {entry}")
        check([n for n, _, _ in fields].count("MESSAGE") == 1, f"journal: {entry}")
        for n, _, v in fields:
            check(n != "_BOOT_ID" or v == of["boot_id"].replace("-", ""), f"journal: {n} {v}")


def main() -> int:
    ringfence, kinds_file, seeds = sys.argv[1:]
    kinds, types = open(kinds_file, encoding="utf-8").read().split(), types_of_lines()
    check_rows(ringfence, kinds, types)
    records = all_records(kinds, types) + hostile_records()
    for name in sorted(os.listdir(seeds)):
        seed = json.load(open(os.path.join(seeds, name), encoding="utf-8"))
        if "hash" in seed and "boot_id" in seed:
            records.append(seed)
    checks = {"ocsf": check_ocsf, "ecs": check_ecs, "falco": check_falco, "cef": check_cef, "syslog": check_syslog}
    for form, look in checks.items():
        lines = export(ringfence, form, records).split("\n")
        check(lines.pop() == "" and len(lines) == len(records), f"{form}: {len(lines)} lines of {len(records)} records")
        for line, of in zip(lines, records):
            look(line if form in ("cef", "syslog") else json.loads(line), of)
    check_journal(export(ringfence, "journal", records), records)
    print("\n".join(wrong[:20]))
    print(f"{looked} looks at {len(records)} records, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
