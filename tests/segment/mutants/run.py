#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Break the segment set template in one place at a time and see that a test notices.

mutants.txt names each mutant by its file, what to replace (which must occur exactly once) and with
what. For each, the headers are copied, broken and tested; one that no test catches is reported, and
the exit status is then 1.

Usage: run.py [text ...]     only the mutants with one of these texts in them
"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "../../.."))
BASE = [os.path.join(ROOT, "src/base", name) for name in ("allocator.c", "error.c")]
# A test and its arguments, the likeliest to notice first.
TESTS = [
    ("model_degree3_gaps", ["1", "25", "400"], []),
    ("model_degree3", ["1", "25", "400"], []),
    ("out_of_memory", [], ["-lcmocka"]),
    ("unit", [], ["-lcmocka"]),
    ("panics", [], ["-lcmocka"]),
    ("promises", [], ["-lcmocka"]),
    ("stability", [], ["-lcmocka"]),
    ("model_default_gaps", ["1", "25", "1500"], []),
]


def read_mutants(path):
    """Blocks of three lines (file, old, new), apart by blank lines; '#' begins a comment."""
    with open(path, encoding="utf-8") as f:
        lines = [line.rstrip("\n") for line in f if not line.startswith("#")]
    blocks = [block.split("\n") for block in "\n".join(lines).split("\n\n") if block.strip()]
    for block in blocks:
        block = [line for line in block if line]
        if len(block) != 3:
            sys.exit(f"{path}: not three lines: {block}")
        yield tuple(line.replace("\\n", "\n") for line in block)


def caught_by(include, work, mutant):
    """The name of the first test that fails, or does not compile; None when all pass."""
    for name, args, libs in TESTS:
        program = os.path.join(work, name)
        source = os.path.join(ROOT, "tests/segment", name + ".c")
        compiled = subprocess.run(
            ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O0", "-w", "-I", include, "-I",
             os.path.join(ROOT, "include"), "-I", os.path.join(ROOT, "tests"), source, *BASE,
             "-o", program, *libs], stderr=subprocess.PIPE, check=False)
        if compiled.returncode != 0:
            print(compiled.stderr.decode()[:500])
            return None if mutant else "the compiler"
        try:
            status = subprocess.run([program, *args], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, timeout=60, check=False).returncode
        except subprocess.TimeoutExpired:
            return name + " (it does not end)"
        if status != 0:
            return name
    return None


def main():
    mutants = list(read_mutants(os.path.join(HERE, "mutants.txt")))
    wanted = sys.argv[1:]
    missed = 0
    with tempfile.TemporaryDirectory() as work:
        include = os.path.join(work, "include")
        for mutant in [None] + mutants:
            if mutant and wanted and not any(w in "\n".join(mutant) for w in wanted):
                continue
            shutil.rmtree(include, ignore_errors=True)
            shutil.copytree(os.path.join(ROOT, "include"), include)
            if mutant:
                file, old, new = mutant
                path = os.path.join(include, "memmap/segment", file)
                with open(path, encoding="utf-8") as f:
                    text = f.read()
                if text.count(old) != 1:
                    sys.exit(f"{file}: occurs {text.count(old)} times, not once: {old}")
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text.replace(old, new))
            by = caught_by(include, work, mutant)
            if mutant is None:
                if by:
                    sys.exit(f"without any mutant, {by} fails")
                continue
            missed += by is None
            print(f"{by or 'NOT CAUGHT':30} {file}: {old.strip()}  ->  {new.strip()}", flush=True)
    print(f"{missed} not caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
