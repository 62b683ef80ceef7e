# SPDX-License-Identifier: AGPL-3.0-or-later
# Follows the chain of an export of ADIT's audit log on standard input, by what docs/admin.md says and nothing else.
import datetime
import hashlib
import json
import sys

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
TEXTS = "username via peer action object patient_id study_uid source destination profile profile_sha256 detail".split()

seq, before = 0, "0" * 64
if len(sys.argv) > 1:  # the head of the export before, SEQ:HASH
    seq, before = int(sys.argv[1].split(":")[0]), sys.argv[1].split(":")[1]
for line in sys.stdin.buffer:
    row = json.loads(line)
    if "head" in row:
        if row["head"] != f"{seq}:{before}":
            sys.exit("the end was cut off")
        break
    if "gone" in row:  # rows that are in an earlier export
        gone = row["gone"]
        if gone["from"] != seq + 1 or gone["before"] != before:
            sys.exit(f"row {seq + 1} was changed or removed")
        seq, before = gone["to"], gone["hash"]
        continue
    stamp, _, fraction = row["at"].rstrip("Z").partition(".")
    since = datetime.datetime.fromisoformat(stamp).replace(tzinfo=datetime.timezone.utc) - EPOCH
    at = (since.days * 86400 + since.seconds) * 1_000_000 + int(fraction.ljust(6, "0") if fraction else 0)
    fields = ["adit audit 1", seq + 1, row["id"], at, row["user_id"]] + [row[name] for name in TEXTS] + [before]
    encoded = b"".join(b"%d:%s," % (len(f), f) for f in (str(field).encode() for field in fields))
    if row["seq"] != seq + 1 or row["hash"] != hashlib.sha256(encoded).hexdigest():
        sys.exit(f"row {seq + 1} was changed or removed")
    seq, before = row["seq"], row["hash"]
print(f"{seq}:{before}")
