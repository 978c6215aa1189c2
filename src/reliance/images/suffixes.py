"""What a file is by its name: an image that is read, one that is not, none, or something of a system's."""

SUFFIXES = ("jpg", "jpeg", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm")
NOT_READ = (  # images in formats that are not read
    "avif", "heic", "heif", "hif", "jxl", "jp2", "j2k", "jpx", "jpe", "jpf", "apng", "mpo", "tga",
    "ico", "icns", "pbm", "pnm", "pam", "dcm", "dicom", "svg", "psd", "exr", "hdr", "nef", "cr2",
    "cr3", "arw", "dng", "raf", "orf", "rw2", "raw",
)  # fmt: skip
NO_IMAGES = (  # known to be none: not opened
    "txt", "md", "rst", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml", "ini", "cfg",
    "html", "htm", "pdf", "doc", "docx", "xls", "xlsx", "log", "py", "ipynb", "mat", "npy", "npz",
    "pt", "pth", "pkl", "h5", "hdf5", "parquet", "zip", "tar", "gz", "tgz", "bz2", "xz", "7z",
    "rar", "mp4", "avi", "mov", "mkv", "wav", "mp3", "sh", "db", "sqlite",
)  # fmt: skip
SYSTEM = (  # of NAS boxes, Windows and archivers, in lower case, beside names that start with a dot
    "__macosx", "lost+found", "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle",
    "#snapshot", "$recycle.bin", "system volume information", "found.000",
    "network trash folder", "temporary items", "__pycache__", "thumbs.db", "ehthumbs.db",
    "ehthumbs_vista.db", "desktop.ini", "icon\r",
)  # fmt: skip
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")


def is_system(name: str) -> bool:
    """Whether an entry of a folder is hidden or a system's own."""
    return name.startswith(".") or name.casefold() in SYSTEM


def suffix_of(name: str) -> str:
    """What follows the last dot, in lower case; "" if there is no dot."""
    _, dot, suffix = name.rpartition(".")
    return suffix.lower() if dot else ""


def is_image(name: str) -> bool:
    """Whether a file is read as an image."""
    return suffix_of(name) in SUFFIXES


def starts_like_an_image(path: str) -> bool:
    """Whether the first bytes of a file are those of an image, whatever it is called."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(16)
    except OSError:
        return False
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_STARTS) or webp or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)
