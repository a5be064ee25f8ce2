#!/usr/bin/env python3
"""Makes container images without a daemon, a registry or a network.

    image.py NAME:TAG OUT.tar --program FILE=/PATH [FILE=/PATH ...]   an image around some programs
    image.py --tree DIRECTORY --program FILE=/PATH                    the same content as a directory (for the Dockerfile)

An image holds the programs, the shared libraries that `ldd` names with their loader, CA certificates,
`nsswitch.conf` and a `passwd` with a user that is not root: nothing else, no shell. One layer; the same
input gives the same bytes. The archive is an OCI image layout that carries docker's `manifest.json`, too:
`ctr images import`, `podman load`, `skopeo copy oci-archive:`, `kind load image-archive` and `docker load`
take it.
"""

import argparse
import hashlib
import io
import json
import os
import pathlib
import platform
import re
import stat
import subprocess
import tarfile

USER = 65532
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
TEXTS = {
    "/etc/passwd": f"root:x:0:0::/:/\nnonroot:x:{USER}:{USER}::/:/\n",
    "/etc/group": f"root:x:0:\nnonroot:x:{USER}:\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
}
DIRECTORIES = {"/tmp": 0o1777, "/proc": 0o755, "/sys": 0o755, "/dev": 0o755, "/run": 0o755}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MADE = "1970-01-01T00:00:00Z"


def main():
    arguments = parse_arguments()
    content = image_content(arguments.program, arguments.link)
    if arguments.tree:
        write_tree(pathlib.Path(arguments.tree), content)
        return
    if not arguments.name or not arguments.out:
        raise SystemExit("image: say NAME:TAG and OUT.tar, or --tree DIRECTORY")
    entry = [arguments.program[0].split("=", 1)[1]]
    layer = layer_of(content)
    digest = write_archive(arguments.name, pathlib.Path(arguments.out), layer, entry, arguments.root)
    print(f"{arguments.name} {digest} {len(layer) >> 20} MiB {arguments.out}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--program", action="append", required=True, metavar="FILE=/PATH")
    parser.add_argument("--link", action="append", default=[], metavar="TARGET=/PATH", help="a symbolic link")
    parser.add_argument("--tree", metavar="DIRECTORY")
    parser.add_argument("--root", action="store_true", help="run as root (for programs of a test cluster)")
    return parser.parse_args()


def image_content(programs, links):
    """What is in the image: path → bytes, ("link", target) or ("directory", mode)."""
    content = {path: ("directory", mode) for path, mode in DIRECTORIES.items()}
    content.update({path: text.encode() for path, text in TEXTS.items()})
    if os.path.exists(CERTIFICATES):
        content[CERTIFICATES] = pathlib.Path(CERTIFICATES).read_bytes()
    for program in programs:
        file, path = program.split("=", 1)
        content[path] = without_debug_sections(file)
        for library in libraries_of(file):
            content[library] = pathlib.Path(library).read_bytes()
    for link in links:
        target, path = link.split("=", 1)
        content[path] = ("link", target)
    return content


def without_debug_sections(file):
    """The file's bytes, without what only a debugger reads; as they are where there is no `objcopy`."""
    stripped = pathlib.Path(f"{file}.image-{os.getpid()}")
    try:
        subprocess.run(["objcopy", "--strip-debug", file, stripped], check=True, capture_output=True)
        return stripped.read_bytes()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return pathlib.Path(file).read_bytes()
    finally:
        stripped.unlink(missing_ok=True)


def libraries_of(file):
    """Paths of the shared libraries that the loader takes, the loader itself among them."""
    listed = subprocess.run(["ldd", file], capture_output=True, text=True, check=False)
    if "not found" in listed.stdout:
        raise SystemExit(f"image: {file} lacks libraries:\n{listed.stdout}")
    return sorted(set(re.findall(r"(/\S+) \(0x", listed.stdout)))


def with_parents(content):
    """The same, with a directory above everything, in an order that names directories first."""
    whole = dict(content)
    for path in content:
        for parent in pathlib.PurePosixPath(path).parents:
            if str(parent) != "/":
                whole.setdefault(str(parent), ("directory", 0o755))
    return sorted(whole.items())


def layer_of(content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, what in with_parents(content):
            tar.addfile(*tar_entry(path.lstrip("/"), what))
    return out.getvalue()


def tar_entry(name, what):
    info = tarfile.TarInfo(name)
    match what:
        case ("directory", mode):
            info.type, info.mode = tarfile.DIRTYPE, mode
            return info, None
        case ("link", target):
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
            return info, None
        case data:
            info.size, info.mode = len(data), 0o755 if data.startswith(b"\x7fELF") else 0o644
            return info, io.BytesIO(data)


def write_tree(root, content):
    for path, what in with_parents(content):
        at = root / path.lstrip("/")
        match what:
            case ("directory", mode):
                at.mkdir(parents=True, exist_ok=True)
                at.chmod(mode)
            case ("link", target):
                at.symlink_to(target)
            case data:
                at.write_bytes(data)
                at.chmod(0o755 if data.startswith(b"\x7fELF") else 0o644)


def write_archive(name, out, layer, entry, as_root):
    blobs = {}

    def blob(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    oci = "application/vnd.oci.image"
    system = {"architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux"}
    stored_layer = blob(layer, f"{oci}.layer.v1.tar")
    config = system | {
        "created": MADE,
        "config": {
            "Entrypoint": entry,
            "User": "0:0" if as_root else f"{USER}:{USER}",
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [stored_layer["digest"]]},
        "history": [{"created": MADE, "created_by": "scripts/image.py"}],
    }
    stored_config = blob(as_json(config), f"{oci}.config.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.manifest.v1+json",
        "config": stored_config,
        "layers": [stored_layer],
    }
    stored_manifest = blob(as_json(manifest), f"{oci}.manifest.v1+json")
    annotations = {
        "io.containerd.image.name": full_name(name),
        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1],
    }
    index = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.index.v1+json",
        "manifests": [stored_manifest | {"platform": system, "annotations": annotations}],
    }
    files = blobs | {
        "oci-layout": as_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": as_json(index),
        "manifest.json": as_json(
            [{"Config": path_of(stored_config), "RepoTags": [name], "Layers": [path_of(stored_layer)]}]
        ),
    }
    write_files(out, files)
    return stored_config["digest"]


def path_of(descriptor):
    return "blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")


def full_name(name):
    """As containerd keeps it: docker's short names are in docker.io, those without a slash in library."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def as_json(value):
    return json.dumps(value, sort_keys=True).encode()


def write_files(out, files):
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH
            tar.addfile(info, io.BytesIO(data))
    part.replace(out)


main()
