"""Which file system a path is on."""

from pathlib import Path

_NETWORK = (
    "nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "lustre", "ocfs2", "gfs2", "beegfs",
    "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.davfs", "fuse.glusterfs",
    "fuse.mergerfs", "davfs", "vboxsf", "drvfs", "prl_fs", "vmhgfs", "fuse.vmhgfs", "virtiofs",
)  # fmt: skip
"""File systems on which other computers write, or whose locks and shared memory are not the
kernel's own: SQLite asks for both (https://sqlite.org/useovernet.html)."""


def is_network(kind: str) -> bool:
    """Whether a type, as `file_system` gives it, is that of a share rather than a local disk."""
    return kind.startswith(_NETWORK)


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system `path` is on or will be on, "" where the system has no list."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        # Format: proc_pid_mountinfo(5); the mount point is field 5, the type follows " - ".
        fields, _, rest = line.partition(" - ")
        point = Path(fields.split()[4].replace("\\040", " "))
        if (point == path or point in path.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), rest.split()[0]
    return kind
