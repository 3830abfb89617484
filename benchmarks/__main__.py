"""The benchmarks of speed as one command: each measures side by side in one run, and leaves its results.

    python -m benchmarks                       what there is
    python -m benchmarks NAME ... | all        measure, print, and keep the results
    python -m benchmarks page                  make docs/performance.md from the results that are kept

A result is `benchmarks/results/NAME.json`: the tables, and what they were measured on (machine, versions,
commit). `--quick` is only to see that everything runs: its results are not kept.
"""

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "performance.md"

# Name -> script; in the order of the page.
SCRIPTS = {
    "objectives": "objective_cost.py",
    "steps": "step_time.py",
    "commits": "commits.py",
    "marginal": "large_vocabulary.py",
    "lattices": "lattices.py",
    "operations": "step_operations.py",
    "speech-step": "speech_step.py",
    "compiled": "compiled.py",
    "accuracy": "time_to_accuracy.py",
    "posterior": "posterior_export.py",
    "scaling": "scaling.py",
    "loading": "loading.py",
    "startup": "startup.py",
}
HEAD = """# Performance

How long things take, side by side with what else there is. Every section is one run of
`python -m benchmarks NAME`, on the machine and at the commit that it names; absolute times are those of that
machine, ratios are taken within the run. This page is made from `benchmarks/results/` by
`python -m benchmarks page`. What the models learn is another matter: [benchmarks.md](benchmarks.md).
"""

Result = dict[str, Any]


def about(script: str) -> str:
    """The first paragraph of a script's docstring, on one line."""
    text = ast.get_docstring(ast.parse((HERE / script).read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def measure(name: str, options: argparse.Namespace) -> Result:
    """Runs a benchmark, shows what it prints, and returns its result; a SystemExit if it fails."""
    script = SCRIPTS[name]
    command = [sys.executable, str(HERE / script)]
    if options.quick:
        command.append("--quick")
    if options.device is not None:
        if '"--device"' not in (HERE / script).read_text(encoding="utf-8"):
            raise SystemExit(f"{name} is measured on the CPU only: leave out --device")
        command += ["--device", options.device]
    began, lines = time.monotonic(), list[str]()
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    if process.returncode:
        raise SystemExit(f"{name} failed (exit code {process.returncode})")
    return {
        "benchmark": name,
        "about": about(script),
        "command": f"python -m benchmarks {name}" + (f" --device {options.device}" if options.device else ""),
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - began),
        "machine": machine(),
        "versions": {each: version(each) for each in ("torch", "pyro-ppl", "numpy")}
        | {"python": platform.python_version()},
        "output": "\n".join(lines).strip(),
        "tables": tables(lines),
    }


def commit() -> str:
    """The commit that is checked out, with a mark if files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../hardpp")
    return git("rev-parse", "--short", "HEAD") + (" and changes" if changed else "")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    found: dict[str, Any] = {"system": platform.system(), "processor": processor(), "cores": os.cpu_count()}
    if hasattr(os, "sysconf"):
        found["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
        found["load"] = round(os.getloadavg()[0], 1)
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def tables(lines: list[str]) -> list[dict[str, Any]]:
    """The Markdown tables among lines of text: columns, rows, and the line of text before, as title."""
    found: list[dict[str, Any]] = []
    title, inside = "", False
    for line in lines:
        if not line.startswith("|"):
            title, inside = line.strip() or title, False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not inside:
            found.append({"title": title, "columns": cells, "rows": []})
        elif set("".join(cells)) - set("-: "):
            found[-1]["rows"].append(cells)
        inside = True
    return found


def page(folder: Path = RESULTS) -> str:
    """The page of all results that are kept."""
    parts = [HEAD]
    for name in SCRIPTS:
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        on = result["machine"]
        where = f"{on['cores']} cores of {on['processor']}, {on.get('memory_gib', '?')} GiB"
        where += f", {on['gpu']}" if "gpu" in on else ""
        where += f", load {on['load']} at the end" if "load" in on else ""
        versions = ", ".join(f"{key} {value}" for key, value in result["versions"].items())
        parts.append(
            f"## {name}\n\n{result['about']}\n\n{result['output']}\n\n"
            f"`{result['command']}`, commit {result['commit']}, {result['date']}: {where}; {versions}.\n"
        )
    return "\n".join(parts)


def main() -> None:
    there = "\n".join(f"  {name:14}{about(script)}" for name, script in SCRIPTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\n{there}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="all, page, or some of the above")
    parser.add_argument("--quick", action="store_true", help="only to see that it runs; keeps no results")
    parser.add_argument("--device", help="where a script can choose: cpu or cuda")
    options = parser.parse_args()
    if unknown := set(options.names) - {*SCRIPTS, "all", "page"}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if not options.names:
        parser.print_help()
    for name in SCRIPTS if "all" in options.names else options.names:
        if name == "page":
            continue
        print(f"\n## {name}: {about(SCRIPTS[name])}\n", flush=True)
        result = measure(name, options)
        if not options.quick:
            RESULTS.mkdir(exist_ok=True)
            text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
            (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    if "page" in options.names:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
